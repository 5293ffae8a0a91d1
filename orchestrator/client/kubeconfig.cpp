#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "orchestrator/client/client.h"

namespace lab::client {

namespace {

Result<std::string> decode_base64(std::string_view text, const std::string& field) {
  auto bytes = crypto::base64_decode(text);
  if (!bytes) return std::unexpected(std::move(bytes).error().with_context("kubeconfig: " + field));
  return bytes;
}

// The entry called `name` of a kubeconfig list: {name: NAME, KIND: {...}}.
Result<const json::Value*> entry_of(const json::Value& config, std::string_view list, std::string_view kind,
                                    std::string_view name) {
  for (const auto& entry : json::list(config, list))
    if (json::str(entry, "name") == name) return &json::at(entry, kind);
  return fail(Code::kInvalid, "kubeconfig: no " + std::string(kind) + " is called \"" + std::string(name) + "\"",
              "list them with: kubectl config get-contexts");
}

// FIELD-data inline, or the content of the file that FIELD names.
Result<std::string> inline_or_file(const json::Value& entry, const std::string& field, const std::string& directory) {
  if (auto data = json::str(entry, field + "-data"); !data.empty()) return decode_base64(data, field + "-data");
  std::string path(json::str(entry, field));
  if (path.empty()) return std::string();
  if (path.front() != '/') path = fs::join(directory, path);
  auto text = fs::read_file(path);
  if (!text) return std::unexpected(std::move(text).error().with_context("kubeconfig: " + field));
  return text;
}

Result<void> read_cluster(const json::Value& cluster, const std::string& directory, RestConfig& out) {
  out.server = json::str(cluster, "server");
  if (out.server.empty()) return fail(Code::kInvalid, "kubeconfig: the cluster has no server address");
  out.insecure = json::flag(cluster, "insecure-skip-tls-verify");
  out.tls_server_name = json::str(cluster, "tls-server-name");
  if (!out.insecure) {
    LAB_TRY(out.ca_pem, inline_or_file(cluster, "certificate-authority", directory));
  }
  return {};
}

Result<void> read_user(const json::Value& user, const std::string& directory, RestConfig& out) {
  if (json::has(user, "exec") || json::has(user, "auth-provider"))
    return fail(Code::kInvalid, "kubeconfig: the user's credentials come from a plug-in, which is not supported",
                "use a token or a client certificate");
  LAB_TRY(out.certificate_pem, inline_or_file(user, "client-certificate", directory));
  LAB_TRY(out.private_key_pem, inline_or_file(user, "client-key", directory));
  if (out.certificate_pem.empty() != out.private_key_pem.empty())
    return fail(Code::kInvalid, "kubeconfig: client-certificate and client-key must come together");
  out.token = json::str(user, "token");
  if (json::has(user, "tokenFile")) {
    LAB_TRY(out.token, inline_or_file(user, "tokenFile", directory));
    while (!out.token.empty() && (out.token.back() == '\n' || out.token.back() == ' ')) out.token.pop_back();
  }
  return {};
}

}  // namespace

Result<RestConfig> parse_kubeconfig(std::string_view text, const std::string& directory, const std::string& context) {
  LAB_TRY(json::Value config, yaml::parse(text));
  std::string current = context.empty() ? std::string(json::str(config, "current-context")) : context;
  if (current.empty())
    return fail(Code::kInvalid, "kubeconfig: no current context is set", "set one: kubectl config use-context NAME");
  LAB_TRY(const json::Value* chosen, entry_of(config, "contexts", "context", current));
  LAB_TRY(const json::Value* cluster, entry_of(config, "clusters", "cluster", json::str(*chosen, "cluster")));
  RestConfig out;
  out.ns = json::str(*chosen, "namespace");
  LAB_CHECK(read_cluster(*cluster, directory, out));
  // A context without a user is anonymous: cluster discovery uses that.
  if (json::has(*chosen, "user")) {
    LAB_TRY(const json::Value* user, entry_of(config, "users", "user", json::str(*chosen, "user")));
    LAB_CHECK(read_user(*user, directory, out));
  }
  return out;
}

Result<RestConfig> load_kubeconfig(const std::string& path, const std::string& context) {
  LAB_TRY(std::string text, fs::read_file(path));
  auto slash = path.rfind('/');
  std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  auto config = parse_kubeconfig(text, directory, context);
  if (!config) return std::unexpected(std::move(config).error().with_context(path));
  config->reload = [path, context] { return load_kubeconfig(path, context); };
  return config;
}

}  // namespace lab::client
