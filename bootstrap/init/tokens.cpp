#include "bootstrap/init/tokens.h"

#include "base/crypto/encoding.h"
#include "bootstrap/init/init.h"
#include "orchestrator/api/time.h"

namespace lab::bootstrap {

namespace res = client::res;

namespace {

constexpr std::string_view kPrefix = "bootstrap-token-";
constexpr std::string_view kUsagePrefix = "usage-bootstrap-";

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& p : parts) out += (out.empty() ? "" : ",") + p;
  return out;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    auto comma = text.find(',');
    out.emplace_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return out;
}

}  // namespace

Result<void> create_token(Cluster& cluster, const TokenRequest& request) {
  auto groups = request.groups;
  if (groups.empty()) groups.push_back(kNodeTokenGroup);
  json::Object data{{"token-id", request.token.id},
                    {"token-secret", request.token.secret},
                    {"description", request.description},
                    {"auth-extra-groups", joined(groups)}};
  if (request.ttl.count() > 0) data["expiration"] = api::format_time(std::chrono::system_clock::now() + request.ttl);
  for (const auto& usage : request.usages) data[std::string(kUsagePrefix) + usage] = "true";
  json::Value secret = json::Object{
      {"apiVersion", "v1"},
      {"kind", "Secret"},
      {"type", "bootstrap.kubernetes.io/token"},
      {"metadata", json::Object{{"name", std::string(kPrefix) + request.token.id}, {"namespace", "kube-system"}}},
      {"stringData", std::move(data)}};
  LAB_CHECK(cluster.apply(res::secrets, std::move(secret)));
  return {};
}

Result<std::vector<TokenInfo>> list_tokens(Cluster& cluster) {
  client::ListOptions only;
  only.field_selector = "type=bootstrap.kubernetes.io/token";
  LAB_TRY(auto secrets, cluster.list(res::secrets, "kube-system", only));
  std::vector<TokenInfo> out;
  for (const auto& secret : json::list(secrets, "items")) {
    auto field = [&](std::string_view name) {
      auto bytes = crypto::base64_decode(json::str(secret, "data", name));
      return bytes ? *bytes : std::string();
    };
    TokenInfo info;
    info.token = {field("token-id"), field("token-secret")};
    info.expires = field("expiration");
    if (auto at = api::parse_time(info.expires)) info.expired = *at <= std::chrono::system_clock::now();
    info.description = field("description");
    info.groups = split(field("auth-extra-groups"));
    for (const auto& [key, value] : json::map(secret, "data"))
      if (std::string_view(key).starts_with(kUsagePrefix) && field(key) == "true")
        info.usages.emplace_back(std::string_view(key).substr(kUsagePrefix.size()));
    info.default_node_token = info.description.find("'lab init'") != std::string::npos;
    out.push_back(std::move(info));
  }
  return out;
}

Result<void> delete_token(Cluster& cluster, const std::string& id_or_token) {
  const std::string id = id_or_token.substr(0, id_or_token.find('.'));
  auto r = cluster.remove(res::secrets, "kube-system", std::string(kPrefix) + id);
  if (!r && r.error().code == Code::kNotFound)
    return fail(Code::kNotFound, "there is no bootstrap token \"" + id + "\"", "lab token list shows those that exist");
  return r;
}

}  // namespace lab::bootstrap
