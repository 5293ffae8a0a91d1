#include "pki/kubeconfig.h"

#include "base/crypto/encoding.h"
#include "base/yaml/yaml.h"

namespace lab::pki {

namespace {

std::string context_name(const KubeconfigSpec& s) { return s.context.empty() ? s.user + "@" + s.cluster : s.context; }

json::Object cluster_of(const KubeconfigSpec& s) {
  json::Object cluster;
  if (!s.ca_pem.empty()) cluster["certificate-authority-data"] = crypto::base64_encode(s.ca_pem);
  cluster["server"] = s.server;
  return cluster;
}

json::Object user_of(const KubeconfigSpec& s) {
  json::Object user;
  if (!s.certificate_pem.empty()) {
    user["client-certificate-data"] = crypto::base64_encode(s.certificate_pem);
    user["client-key-data"] = crypto::base64_encode(s.key_pem);
  } else if (!s.certificate_file.empty()) {
    user["client-certificate"] = s.certificate_file;
    user["client-key"] = s.key_file;
  }
  if (!s.token.empty()) user["token"] = s.token;
  return user;
}

}  // namespace

json::Value make_kubeconfig(const KubeconfigSpec& s) {
  json::Object config{{"apiVersion", "v1"},
                      {"clusters", json::Array{json::Object{{"cluster", cluster_of(s)}, {"name", s.cluster}}}}};
  if (s.user.empty()) {   // cluster-info carries no user
    config["clusters"] = json::Array{json::Object{{"cluster", cluster_of(s)}, {"name", ""}}};
    config["contexts"] = json::Array();
    config["current-context"] = "";
    config["kind"] = "Config";
    config["preferences"] = json::Object();
    config["users"] = json::Array();
    return config;
  }
  json::Object context{{"cluster", s.cluster}, {"user", s.user}};
  if (!s.ns.empty()) context["namespace"] = s.ns;
  config["contexts"] = json::Array{json::Object{{"context", context}, {"name", context_name(s)}}};
  config["current-context"] = context_name(s);
  config["kind"] = "Config";
  config["preferences"] = json::Object();
  config["users"] = json::Array{json::Object{{"name", s.user}, {"user", user_of(s)}}};
  return config;
}

std::string kubeconfig_text(const KubeconfigSpec& s) { return yaml::dump(make_kubeconfig(s)); }

Result<std::string> with_cluster(std::string_view kubeconfig, const std::string& ca_pem, const std::string& server) {
  LAB_TRY(auto config, yaml::parse(kubeconfig));
  std::string wanted;
  for (const auto& context : json::list(config, "contexts"))
    if (json::str(context, "name") == json::str(config, "current-context"))
      wanted = json::str(context, "context", "cluster");
  bool found = false;
  auto* clusters = json::ensure(config, "clusters").if_array();
  if (!clusters) return fail(Code::kInvalid, "this is no kubeconfig: it has no list of clusters");
  for (auto& entry : *clusters) {
    // cluster-info names no context, and one cluster.
    if (json::str(entry, "name") != wanted) continue;
    found = true;
    json::erase(entry, "cluster", "certificate-authority");
    json::set(entry, crypto::base64_encode(ca_pem), "cluster", "certificate-authority-data");
    if (!server.empty()) json::set(entry, server, "cluster", "server");
  }
  if (!found) return fail(Code::kInvalid, "the kubeconfig has no cluster \"" + wanted + "\"");
  return yaml::dump(config);
}

}  // namespace lab::pki
