#include "orchestrator/apiserver/aggregator.h"

#include <algorithm>

#include "base/crypto/encoding.h"
#include "base/http/client.h"
#include "base/io/scope.h"
#include "base/log.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/webhooks/service_address.h"

namespace lab::apiserver {
namespace {

constexpr Duration kResync = std::chrono::seconds(10);  // availability is looked at this often without a change
constexpr Duration kCheckLimit = std::chrono::seconds(5);
constexpr Duration kPause = std::chrono::milliseconds(500);  // between passes: what one writes wakes the next

std::string key_of(std::string_view group, std::string_view version) {
  return std::string(group) + "/" + std::string(version);
}

bool is_available(const json::Value& service) {
  for (const auto& c : json::list(service, "status", "conditions"))
    if (json::str(c, "type") == "Available") return json::str(c, "status") == "True";
  return false;
}

// Who asks, in the form that other servers take it from a front proxy (--requestheader-*).
void name_user(http::Headers& headers, const Identity& user) {
  std::vector<std::string> foreign;
  for (const auto& [name, value] : headers.fields()) {
    std::string lower(name);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (lower.starts_with("x-remote-") || lower.starts_with("impersonate-")) foreign.push_back(name);
  }
  for (const auto& name : foreign) headers.remove(name);
  headers.set("X-Remote-User", user.username);
  if (!user.uid.empty()) headers.set("X-Remote-Uid", user.uid);
  for (const auto& group : user.groups) headers.add("X-Remote-Group", group);
  for (const auto& [key, values] : user.extra)
    for (const auto& value : values) headers.add("X-Remote-Extra-" + http::percent_encode(key), value);
}

http::Response unavailable() {
  http::Response out;
  out.status = 503;
  out.headers.set("Content-Type", "text/plain; charset=utf-8");
  out.headers.set("X-Content-Type-Options", "nosniff");
  out.body.push_back(http::buffer("service unavailable\n"));
  return out;
}

}  // namespace

Aggregator::Aggregator(Registry& registry, KindTable& kinds, NodeProxy& proxy, AggregatorOptions options)
    : registry_(registry),
      kinds_(kinds),
      proxy_(proxy),
      options_(std::move(options)),
      kind_(api::find_kind("apiregistration.k8s.io", "v1", "apiservices")) {}

std::shared_ptr<const Aggregator::Routes> Aggregator::routes() const {
  auto known = routes_.load();
  const auto revision = registry_.cache().revision_of(*kind_);
  if (known && known->revision == revision) return known;
  auto fresh = std::make_shared<Routes>();
  fresh->revision = revision;
  for (const auto& object : registry_.cache().list(*kind_, {})) {
    const auto& spec = json::at(*object, "spec");
    if (!json::at(spec, "service").is_object()) continue;
    auto route = std::make_shared<Route>();
    route->name = json::str(*object, "metadata", "name");
    route->group = json::str(spec, "group");
    route->version = json::str(spec, "version");
    route->ns = json::str(spec, "service", "namespace");
    route->service = json::str(spec, "service", "name");
    if (auto port = json::num(spec, "service", "port"); port > 0) route->port = static_cast<int>(port);
    if (auto pem = crypto::base64_decode(json::str(spec, "caBundle"))) route->ca_pem = std::move(*pem);
    route->insecure = json::flag(spec, "insecureSkipTLSVerify");
    route->available = is_available(*object);
    fresh->by_version[key_of(route->group, route->version)] = std::move(route);
  }
  routes_.store(fresh);
  return fresh;
}

std::shared_ptr<const Aggregator::Route> Aggregator::route(std::string_view group, std::string_view version) const {
  if (group.empty()) return nullptr;
  const auto now = routes();
  if (now->by_version.empty()) return nullptr;
  auto it = now->by_version.find(key_of(group, version));
  return it == now->by_version.end() ? nullptr : it->second;
}

std::shared_ptr<const Aggregator::Route> Aggregator::route_of_path(std::string_view path) const {
  const bool document = path.starts_with("/openapi/v3/apis/");
  if (document) path.remove_prefix(std::string_view("/openapi/v3").size());
  if (!path.starts_with("/apis/")) return nullptr;
  path.remove_prefix(6);
  const auto slash = path.find('/');
  if (slash == std::string_view::npos) return nullptr;
  const auto version = path.substr(slash + 1);
  auto found = route(path.substr(0, slash), version.substr(0, version.find('/')));
  if (!found || !document) return found;
  std::lock_guard lock(mutex_);
  return documents_.contains(found->name) ? found : nullptr;
}

http::Endpoint Aggregator::endpoint_of(const Route& route, const std::string& host, int port) const {
  http::Endpoint out;
  out.host = host;
  out.port = port;
  TlsClientConfig tls;
  tls.ca_pem = route.ca_pem;
  tls.insecure = route.insecure;
  tls.server_name = route.service + "." + route.ns + ".svc";
  tls.certificate_pem = options_.certificate_pem;
  tls.private_key_pem = options_.private_key_pem;
  out.tls = std::move(tls);
  return out;
}

Task<Reply> Aggregator::serve(RequestContext& request, std::shared_ptr<const Route> route) {
  if (!route->available) co_return unavailable();
  auto address = webhooks::resolve_service(registry_.cache(), route->ns, route->service, route->port);
  if (!address) co_return unavailable();
  auto& headers = request.request.headers;
  name_user(headers, request.user);
  headers.set("X-Forwarded-Proto", "https");
  if (auto host = headers.get("Host"); !host.empty()) headers.set("X-Forwarded-Host", std::string(host));
  if (const auto& peer = request.request.peer.address; !peer.empty())
    headers.add("X-Forwarded-For", peer.substr(0, peer.rfind(':')));
  auto endpoint = endpoint_of(*route, address->host, address->port);
  co_return co_await proxy_.pass_on(request, std::move(endpoint), request.request.target);
}

Externals Aggregator::externals() const {
  Externals out;
  const auto now = routes();
  std::lock_guard lock(mutex_);
  for (const auto& [key, route] : now->by_version) {
    auto heard = heard_.find(route->name);
    if (heard == heard_.end() && !route->available) continue;  // never heard of: there is nothing to show
    out.push_back(
        {route->group, route->version, route->available, heard == heard_.end() ? json::Array() : heard->second});
  }
  return out;
}

json::Object Aggregator::documents() const {
  json::Object out;
  const auto now = routes();
  std::lock_guard lock(mutex_);
  for (const auto& [key, route] : now->by_version)
    if (auto found = documents_.find(route->name); route->available && found != documents_.end())
      out["apis/" + key] = json::Object{{"serverRelativeURL", found->second}};
  return out;
}

Task<Result<json::Value>> Aggregator::fetch(std::shared_ptr<const Route> route, std::string host, int port,
                                            std::string path) {
  auto client = http::Client::make(endpoint_of(*route, host, port),
                                   {.connect_timeout = kCheckLimit, .request_timeout = kCheckLimit});
  http::Request request;
  request.target = path;
  request.headers = {{"Accept", "application/json"}};
  Identity self{.username = "system:kube-aggregator", .uid = {}, .groups = {std::string(kMastersGroup)}, .extra = {}};
  name_user(request.headers, self);
  auto response = co_await client->send(std::move(request));
  if (!response) co_return std::unexpected(std::move(response).error());
  if (response->status < 200 || response->status > 299)
    co_return fail(Code::kUnavailable, "bad status from https://" + host + ":" + std::to_string(port) + path + ": " +
                                           std::to_string(response->status));
  co_return json::parse(response->text());
}

// What it serves, and whether it describes that.
Task<Aggregator::Verdict> Aggregator::ask_for_discovery(std::shared_ptr<const Route> route, std::string host,
                                                        int port) {
  const auto version = "apis/" + route->group + "/" + route->version;
  auto list = co_await fetch(route, host, port, "/" + version);
  if (!list)
    co_return Verdict{false, "FailedDiscoveryCheck",
                      "failing or missing response from https://" + host + ":" + std::to_string(port) + "/" + version +
                          ": " + list.error().text()};
  auto index = co_await fetch(route, host, port, "/openapi/v3");
  std::lock_guard lock(mutex_);
  heard_[route->name] = json::list(*list, "resources");
  auto document = index ? json::str(*index, "paths", std::string_view(version), "serverRelativeURL") : "";
  if (document.empty())
    documents_.erase(route->name);
  else
    documents_[route->name] = document;
  co_return Verdict{true, "Passed", "all checks passed"};
}

Task<Aggregator::Verdict> Aggregator::check(std::shared_ptr<const Route> route) {
  static const api::KindPtr services = api::find_kind("", "v1", "services");
  static const api::KindPtr endpoints = api::find_kind("", "v1", "endpoints");
  const auto where = "service/" + route->service + " in \"" + route->ns + "\"";
  auto service = registry_.cache().get(*services, route->ns, route->service);
  if (!service) co_return Verdict{false, "ServiceNotFound", where + " is not present"};
  const json::Value* port = nullptr;
  for (const auto& p : json::list(*service, "spec", "ports"))
    if (json::num(p, "port") == route->port) port = &p;
  const bool external = json::str(*service, "spec", "type") == "ExternalName";
  if (!port && !external)
    co_return Verdict{false, "ServicePortError", where + " is not listening on port " + std::to_string(route->port)};
  if (!external && !registry_.cache().get(*endpoints, route->ns, route->service))
    co_return Verdict{false, "EndpointsNotFound", "cannot find endpoints for " + where};
  auto address = webhooks::resolve_service(registry_.cache(), route->ns, route->service, route->port);
  if (!address)
    co_return Verdict{false, "MissingEndpoints",
                      "endpoints for " + where + " have no addresses with port name \"" +
                          std::string(port ? json::str(*port, "name") : "") + "\""};
  co_return co_await ask_for_discovery(std::move(route), address->host, address->port);
}

// Written only where it differs, so that a pass without a change writes nothing.
Task<Result<void>> Aggregator::tell(std::string name, Verdict verdict) {
  auto change = [verdict = std::move(verdict), now = Loop::current()->wall()](json::Value& object) -> Result<void> {
    const auto status = verdict.available ? "True" : "False";
    auto& list = json::ensure(object, "status", "conditions");
    if (!list.is_array()) list.emplace_array();
    std::string since = api::format_time(now);
    json::Array rest;
    for (const auto& c : list.get_array()) {
      if (json::str(c, "type") != "Available") {
        rest.push_back(c);
      } else if (json::str(c, "status") == status) {
        since = json::str(c, "lastTransitionTime");
      }
    }
    rest.push_back(json::Object{{"lastTransitionTime", since},
                                {"message", verdict.message},
                                {"reason", verdict.reason},
                                {"status", status},
                                {"type", "Available"}});
    list = std::move(rest);
    return {};
  };
  auto told = co_await registry_.mutate(kind_, "", std::move(name), std::move(change), "status");
  if (!told && told.error().code != Code::kNotFound) co_return std::unexpected(std::move(told).error());
  co_return Result<void>();
}

Task<void> Aggregator::judge(std::shared_ptr<const Route> route) {
  auto verdict = co_await check(route);
  if (auto told = co_await tell(route->name, std::move(verdict)); !told)
    log::warn("an APIService's condition could not be written",
              {{"apiservice", route->name}, {"reason", told.error().text()}});
}

namespace {

// Priorities as kube-apiserver gives them to its own groups, as far as they matter: core first, custom ones last.
json::Value local_service(const std::string& group, const std::string& version, bool custom) {
  json::Object labels{{"kube-aggregator.kubernetes.io/automanaged", custom ? "true" : "onstart"}};
  json::Object spec{{"version", version},
                    {"groupPriorityMinimum", custom          ? 1000
                                             : group.empty() ? 18000
                                                             : 17000},
                    {"versionPriority", custom                                      ? 100
                                        : version.find("beta") == std::string::npos ? 15
                                                                                    : 9}};
  if (!group.empty()) spec["group"] = group;
  return json::Object{{"apiVersion", "apiregistration.k8s.io/v1"},
                      {"kind", "APIService"},
                      {"metadata", json::Object{{"name", version + "." + group}, {"labels", std::move(labels)}}},
                      {"spec", std::move(spec)}};
}

}  // namespace

Task<Result<void>> Aggregator::keep_local() {
  const auto table = kinds_.snapshot();
  std::map<std::string, std::pair<const api::Kind*, bool>> wanted;  // by name; whether it is of a custom resource
  std::string names;
  for (const auto& kind : table->kinds) {
    if (kind->group == "metrics.k8s.io") continue;  // a stand-in: who installs metrics-server brings its APIService
    auto name = kind->version + "." + kind->group;
    if (wanted.try_emplace(name, kind.get(), kind->schema.empty() && !kind->virtual_kind).second) names += name + " ";
  }
  if (names == local_) co_return Result<void>();
  Result<void> outcome;
  auto keep = [](Result<void>& into, Error error) {
    if (into && error.code != Code::kAlreadyExists && error.code != Code::kNotFound) into = Failure(std::move(error));
  };
  Scope scope(*Loop::current());  // side by side, so that the store commits them together
  for (const auto& [name, of] : wanted) {
    if (registry_.cache().get(*kind_, "", name)) continue;
    scope.spawn("local APIService", [&, name, of]() -> Task<void> {
      auto made = co_await registry_.create(kind_, local_service(of.first->group, of.first->version, of.second));
      if (!made) co_return keep(outcome, std::move(made).error());
      auto told = co_await tell(name, {true, "Local", "Local APIServices are always available"});
      if (!told) keep(outcome, std::move(told).error());
    });
  }
  for (const auto& object : registry_.cache().list(*kind_, {})) {
    const std::string name(json::str(*object, "metadata", "name"));
    const bool ours = json::has(*object, "metadata", "labels", "kube-aggregator.kubernetes.io/automanaged") &&
                      !json::has(*object, "spec", "service");
    if (!ours || wanted.contains(name)) continue;
    scope.spawn("local APIService", [&, name]() -> Task<void> {
      if (auto gone = co_await registry_.remove(kind_, "", name); !gone) keep(outcome, std::move(gone).error());
    });
  }
  co_await scope.close();
  if (outcome) local_ = std::move(names);
  co_return outcome;
}

// kube-system/extension-apiserver-authentication: whom other API servers may believe.
Task<Result<void>> Aggregator::publish_authentication() {
  static const api::KindPtr maps = api::find_kind("", "v1", "configmaps");
  constexpr const char* kName = "extension-apiserver-authentication";
  json::Object data;
  if (!options_.client_ca_pem.empty()) data["client-ca-file"] = options_.client_ca_pem;
  if (!options_.requestheader_ca_pem.empty()) {
    json::Array names;
    for (const auto& name : options_.requestheader_allowed_names) names.emplace_back(name);
    data["requestheader-client-ca-file"] = options_.requestheader_ca_pem;
    data["requestheader-allowed-names"] = json::dump(json::Value(std::move(names)));
    data["requestheader-username-headers"] = R"(["X-Remote-User"])";
    data["requestheader-uid-headers"] = R"(["X-Remote-Uid"])";
    data["requestheader-group-headers"] = R"(["X-Remote-Group"])";
    data["requestheader-extra-headers-prefix"] = R"(["X-Remote-Extra-"])";
  }
  if (data.empty()) co_return Result<void>();
  if (!registry_.cache().get(*maps, "kube-system", kName)) {
    auto made = co_await registry_.create(
        maps, json::Object{{"apiVersion", "v1"},
                           {"kind", "ConfigMap"},
                           {"metadata", json::Object{{"name", kName}, {"namespace", "kube-system"}}},
                           {"data", data}});
    if (made || made.error().code != Code::kAlreadyExists) {
      if (!made) co_return std::unexpected(std::move(made).error());
      co_return Result<void>();
    }
  }
  auto written = co_await registry_.mutate(
      maps, "kube-system", kName,
      [&data](json::Value& object) -> Result<void> {
        for (const auto& [key, value] : data) json::set(object, value, "data", std::string_view(key));
        return {};
      },
      "");
  if (!written) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

Task<Result<void>> Aggregator::make_own() {
  if (!published_) {
    LAB_CO_CHECK(co_await publish_authentication());
    published_ = true;
  }
  co_return co_await keep_local();
}

Task<Result<void>> Aggregator::reconcile() {
  LAB_CO_CHECK(co_await make_own());
  const auto now = routes();
  {
    std::lock_guard lock(mutex_);
    auto gone = [&](const auto& entry) {
      return std::ranges::none_of(now->by_version, [&](const auto& r) { return r.second->name == entry.first; });
    };
    std::erase_if(heard_, gone);
    std::erase_if(documents_, gone);
  }
  Scope scope(*Loop::current());
  for (const auto& [key, route] : now->by_version) scope.spawn("availability", judge(route));
  co_await scope.close();
  co_return Result<void>();
}

Task<void> Aggregator::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    auto watching = registry_.cache().watch(*kind_, Selection{}, {});
    if (!watching) co_return;
    while (true) {
      if (auto done = co_await reconcile(); !done)
        log::warn("APIServices could not be kept up", {{"reason", done.error().text()}});
      if (!co_await sleep_for(kPause, stop)) co_return;
      auto wake = co_await watching->watcher->wait(Loop::current()->now() + kResync, stop);
      if (wake == Watcher::Wake::kStopped || wake == Watcher::Wake::kDropped) break;
      (void)watching->watcher->take();
    }
  }
}

}  // namespace lab::apiserver
