#include "bootstrap/local/lab_kubeconfig.h"

#include <cstdlib>

#include "base/crypto/encoding.h"
#include "base/json.h"
#include "base/yaml/yaml.h"
#include "pki/kubeconfig.h"

namespace lab::bootstrap {

namespace {

constexpr long kDefaultPort = 6443, kLastPort = 65535;

const json::Value& entry_of(const json::Value& config, const char* list, const char* kind, std::string_view name) {
  for (const auto& entry : json::list(config, list))
    if (json::str(entry, "name") == name) return json::at(entry, kind);
  return json::null_value();
}

Result<std::string> pem_of(const json::Value& entry, const char* field) {
  const auto text = json::str(entry, field);
  if (text.empty())
    return fail(Code::kInvalid, std::string("the lab's admin.conf has no ") + field,
                "make it anew in the master's shell: lab init phase kubeconfig admin");
  auto pem = crypto::base64_decode(text);
  if (!pem) return std::unexpected(std::move(pem).error().with_context(std::string("the lab's admin.conf: ") + field));
  return pem;
}

long port_of(std::string_view server) {
  const auto colon = server.rfind(':');
  const long port =
      colon == std::string_view::npos ? 0 : std::strtol(std::string(server.substr(colon + 1)).c_str(), nullptr, 10);
  return port > 0 && port <= kLastPort ? port : kDefaultPort;
}

}  // namespace

Result<std::string> lab_kubeconfig(std::string_view admin_conf, const std::string& address) {
  auto config = yaml::parse(admin_conf);
  if (!config) return std::unexpected(std::move(config).error().with_context("the lab's admin.conf"));
  const auto& context = entry_of(*config, "contexts", "context", json::str(*config, "current-context"));
  const auto& cluster = entry_of(*config, "clusters", "cluster", json::str(context, "cluster"));
  const auto& user = entry_of(*config, "users", "user", json::str(context, "user"));
  pki::KubeconfigSpec out{.user = "kubernetes-admin"};
  out.server = "https://" + address + ":" + std::to_string(port_of(json::str(cluster, "server")));
  LAB_TRY(out.ca_pem, pem_of(cluster, "certificate-authority-data"));
  LAB_TRY(out.certificate_pem, pem_of(user, "client-certificate-data"));
  LAB_TRY(out.key_pem, pem_of(user, "client-key-data"));
  return pki::kubeconfig_text(out);
}

}  // namespace lab::bootstrap
