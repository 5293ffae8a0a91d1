#include "orchestrator/apiserver/authn/impersonation.h"

namespace lab::apiserver::authn {
namespace {

constexpr std::string_view kExtraHeader = "impersonate-extra-";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  return out;
}

Result<void> check(const Authorizer& authorizer, const Identity& real, std::string_view group,
                   std::string_view resource, std::string_view subresource, std::string_view ns,
                   std::string_view name) {
  Attributes a{.user = &real,
               .verb = "impersonate",
               .group = group,
               .version = "v1",
               .resource = resource,
               .subresource = subresource,
               .ns = ns,
               .name = name,
               .path = {}};
  auto decision = authorizer.authorize(a);
  if (!decision.allowed()) return Failure(forbidden(a, decision));
  return {};
}

// "system:serviceaccount:NS:NAME" taken apart; false for any other name.
bool service_account(std::string_view user, std::string_view& ns, std::string_view& name) {
  if (!user.starts_with(kServiceAccountUserPrefix)) return false;
  user.remove_prefix(kServiceAccountUserPrefix.size());
  auto colon = user.find(':');
  if (colon == std::string_view::npos) return false;
  ns = user.substr(0, colon);
  name = user.substr(colon + 1);
  return !ns.empty() && !name.empty() && name.find(':') == std::string_view::npos;
}

Identity requested(const http::Headers& headers) {
  Identity id;
  id.username = headers.get("Impersonate-User");
  id.uid = headers.get("Impersonate-Uid");
  for (auto group : headers.all("Impersonate-Group")) id.groups.emplace_back(group);
  for (const auto& [name, value] : headers.fields()) {
    std::string field = lower(name);
    if (!field.starts_with(kExtraHeader)) continue;
    std::string key = http::percent_decode(field.substr(kExtraHeader.size()));
    auto it = std::ranges::find(id.extra, key, &decltype(id.extra)::value_type::first);
    if (it == id.extra.end()) it = id.extra.insert(id.extra.end(), {key, {}});
    it->second.push_back(value);
  }
  return id;
}

}  // namespace

Result<std::optional<Identity>> impersonated(const http::Headers& headers, const Identity& real,
                                             const Authorizer& authorizer) {
  Identity id = requested(headers);
  bool other = !id.uid.empty() || !id.groups.empty() || !id.extra.empty();
  if (id.username.empty()) {
    if (other)
      return fail(Code::kBadRequest,
                  "requested groups, uid or extras without impersonating a user: Impersonate-User is missing");
    return std::nullopt;
  }
  std::string_view ns, name;
  bool account = service_account(id.username, ns, name);
  LAB_CHECK(account ? check(authorizer, real, "", "serviceaccounts", "", ns, name)
                    : check(authorizer, real, "", "users", "", "", id.username));
  for (const auto& group : id.groups) LAB_CHECK(check(authorizer, real, "", "groups", "", "", group));
  if (!id.uid.empty()) LAB_CHECK(check(authorizer, real, "authentication.k8s.io", "uids", "", "", id.uid));
  for (const auto& [key, values] : id.extra)
    for (const auto& value : values)
      LAB_CHECK(check(authorizer, real, "authentication.k8s.io", "userextras", key, "", value));

  if (account && id.groups.empty()) id.groups = {"system:serviceaccounts", "system:serviceaccounts:" + std::string(ns)};
  std::string_view last = id.anonymous() ? kUnauthenticatedGroup : kAuthenticatedGroup;
  if (!id.in_group(kAuthenticatedGroup) && !id.in_group(kUnauthenticatedGroup)) id.groups.emplace_back(last);
  return id;
}

}  // namespace lab::apiserver::authn
