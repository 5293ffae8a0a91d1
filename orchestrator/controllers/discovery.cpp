#include "orchestrator/controllers/discovery.h"

#include <algorithm>

namespace lab::controllers {

namespace {

Task<Result<json::Value>> get_json(client::Client& client, std::string path) {
  http::Request request;
  request.target = std::move(path);
  request.headers.set("Accept", "application/json");
  LAB_CO_TRY(auto response, co_await client.raw(std::move(request)));
  if (response.status != 200) co_return std::unexpected(client::error_of(response));
  co_return json::parse(response.text());
}

void add_resources(const json::Value& list, const std::string& group, const std::string& version,
                   std::vector<Discovered>& out) {
  for (const auto& r : json::list(list, "resources")) {
    auto plural = json::str(r, "name");
    if (plural.find('/') != plural.npos) continue;
    Discovered found{
        group, version, std::string(plural), std::string(json::str(r, "kind")), json::flag(r, "namespaced"), {}};
    for (const auto& verb : json::list(r, "verbs")) found.verbs.emplace_back(json::as_str(verb));
    out.push_back(std::move(found));
  }
}

}  // namespace

bool Discovered::can(std::string_view verb) const {
  return std::find(verbs.begin(), verbs.end(), verb) != verbs.end();
}

Task<Result<std::vector<Discovered>>> discover(client::Client& client, std::vector<std::string>* failed) {
  std::vector<Discovered> out;
  LAB_CO_TRY(json::Value core, co_await get_json(client, "/api/v1"));
  add_resources(core, "", "v1", out);
  LAB_CO_TRY(json::Value groups, co_await get_json(client, "/apis"));
  for (const auto& group : json::list(groups, "groups")) {
    std::string name(json::str(group, "name"));
    std::string preferred(json::str(group, "preferredVersion", "version"));
    // Kinds that only an older version has count too.
    std::vector<std::string> versions{preferred};
    for (const auto& v : json::list(group, "versions"))
      if (json::str(v, "version") != preferred) versions.emplace_back(json::str(v, "version"));
    std::vector<Discovered> of_group;
    for (const auto& version : versions) {
      auto list = co_await get_json(client, "/apis/" + name + "/" + version);
      if (!list) {
        if (failed) failed->push_back(name + "/" + version);
        continue;
      }
      std::vector<Discovered> of_version;
      add_resources(*list, name, version, of_version);
      for (auto& r : of_version)
        if (std::none_of(of_group.begin(), of_group.end(), [&](const auto& k) { return k.plural == r.plural; }))
          of_group.push_back(std::move(r));
    }
    std::move(of_group.begin(), of_group.end(), std::back_inserter(out));
  }
  co_return out;
}

}  // namespace lab::controllers
