#include "orchestrator/apiserver/core.h"

#include <algorithm>

#include "base/fs.h"
#include "base/log.h"
#include "orchestrator/apiserver/authz/policy.h"
#include "orchestrator/apiserver/hooks/policy.h"
#include "orchestrator/apiserver/hooks/range_records.h"
#include "orchestrator/apiserver/pod_calls.h"
#include "orchestrator/apiserver/system_objects.h"
#include "pki/jwt.h"

namespace lab::apiserver {
namespace {

Result<std::string> read_optional(const std::string& path) {
  if (path.empty()) return std::string();
  return fs::read_file(path);
}

// The front proxy's: a control plane without aggregated APIs may do without them.
Result<std::string> read_present(const std::string& path) {
  if (path.empty() || !fs::exists(path)) return std::string();
  return fs::read_file(path);
}

authn::Options authn_options(const ServerOptions& options, const std::vector<pki::PublicKey>& keys) {
  authn::Options out;
  out.service_account_keys = keys;
  out.issuer = options.service_account_issuer;
  out.audiences = options.api_audiences;
  out.anonymous = options.anonymous_auth;
  for (const auto& t : options.tokens) out.tokens.push_back({t.token, t.user, t.uid, t.groups});
  return out;
}

}  // namespace

Result<void> Core::load_keys() {
  if (!options.service_account_signing_key_file.empty()) {
    LAB_TRY(auto pem, fs::read_file(options.service_account_signing_key_file));
    LAB_TRY(signing_key, pki::PrivateKey::from_pem(pem));
    LAB_TRY(auto key, pki::PublicKey::from_pem(signing_key->public_pem()));
    service_account_keys.push_back(std::move(key));
  }
  for (const auto& file : options.service_account_key_files) {
    LAB_TRY(auto pem, fs::read_file(file));
    auto keys = pki::public_keys(pem);
    if (!keys) return std::unexpected(std::move(keys).error().with_context(file));
    for (auto& key : *keys)
      if (std::ranges::none_of(service_account_keys, [&](const auto& k) { return k.der() == key.der(); }))
        service_account_keys.push_back(std::move(key));
  }
  return {};
}

Result<void> Core::wire() {
  LAB_TRY(cache, WatchCache::start(*options.store, kinds, {.history_bytes = options.watch_history_bytes}));
  authenticator = std::make_unique<authn::ChainAuthenticator>(authn_options(options, service_account_keys), *cache);
  authorizer = options.authorization ? authz::make_authorizer(*cache) : authz::make_allow_all();
  LAB_TRY(policy, hooks::make_write_policy({.service_cidr = options.service_cidr,
                                            .node_port_first = options.node_port_first,
                                            .node_port_last = options.node_port_last,
                                            .shared_store = options.store->shared(),
                                            .failure_toleration = options.default_toleration_seconds},
                                           *authorizer));
  conversion = std::make_unique<Conversion>(*cache, kinds);
  webhooks = std::make_unique<AdmissionWebhooks>(*cache, *conversion, kinds);
  registry = std::make_unique<Registry>(*options.store, *cache, kinds, *policy, *conversion, *webhooks);
  add_pod_calls(calls, *registry);
  hooks::add_review_calls(calls, *authenticator, *authorizer);
  hooks::add_token_calls(calls, {.key = signing_key,
                                 .issuer = options.service_account_issuer,
                                 .audiences = authenticator->options().own_audiences()});

  KubeletClientConfig kubelet;
  LAB_TRY(kubelet.certificate_pem, read_optional(options.kubelet_client_cert_file));
  LAB_TRY(kubelet.private_key_pem, read_optional(options.kubelet_client_key_file));
  LAB_TRY(kubelet.ca_pem, read_optional(options.kubelet_ca_file));
  node_proxy = std::make_unique<NodeProxy>(*cache, std::move(kubelet));
  metrics_api = std::make_unique<MetricsApi>(*cache, *node_proxy);
  metrics_api->add_calls(calls);
  AggregatorOptions front;
  LAB_TRY(front.certificate_pem, read_present(options.proxy_client_cert_file));
  LAB_TRY(front.private_key_pem, read_present(options.proxy_client_key_file));
  LAB_TRY(front.client_ca_pem, read_present(options.client_ca_file));
  LAB_TRY(front.requestheader_ca_pem, read_present(options.requestheader_ca_file));
  front.requestheader_allowed_names = options.requestheader_allowed_names;
  aggregator = std::make_unique<Aggregator>(*registry, kinds, *node_proxy, std::move(front));
  resources = std::make_unique<Resources>(*registry, kinds, calls, *node_proxy);

  Paths::Parts parts;
  parts.kinds = &kinds;
  parts.externals = [this] { return aggregator->externals(); };
  parts.documents = [this] { return aggregator->documents(); };
  parts.metrics = &metrics;
  parts.gauges = [this] {
    return "# HELP apiserver_registered_watchers Watches that are open now.\n"
           "# TYPE apiserver_registered_watchers gauge\napiserver_registered_watchers " +
           std::to_string(cache->watcher_count()) +
           "\n# HELP apiserver_storage_revision Last revision of the store, and the one the watch cache has reached.\n"
           "# TYPE apiserver_storage_revision gauge\napiserver_storage_revision{of=\"store\"} " +
           std::to_string(options.store->revision()) + "\napiserver_storage_revision{of=\"cache\"} " +
           std::to_string(cache->revision()) + "\n";
  };
  parts.checks = {{"ping", [] { return true; }},
                  {"store",
                   [this] {
                     auto shown = cache->revision();  // read first: both grow meanwhile
                     return options.store->revision() >= shown;
                   }},
                  {"etcd", [this] { return options.store->answers(); }},
                  {"informer-sync", [this] { return cache->revision() > 0 || system_objects_made; }, false},
                  {"poststarthook/bootstrap-system-objects", [this] { return system_objects_made.load(); }, false},
                  {"shutdown", [this] { return !shutting_down; }, false}};
  if (!service_account_keys.empty()) parts.key_set = pki::jwks(service_account_keys);
  parts.issuer = options.service_account_issuer;
  paths = std::make_unique<Paths>(std::move(parts));

  custom_resources = std::make_unique<CustomResources>(*registry, kinds);

  chain = std::make_unique<Chain>(
      Chain::Parts{.authenticator = authenticator.get(),
                   .authorizer = authorizer.get(),
                   .metrics = &metrics,
                   .max_mutating = options.max_mutating_in_flight,
                   .max_read = options.max_read_in_flight,
                   .resources =
                       [this](RequestContext& request) {
                         auto other = aggregator->route(request.info.group, request.info.version);
                         return other ? aggregator->serve(request, std::move(other)) : resources->serve(request);
                       },
                   .paths =
                       [this](RequestContext& request) {
                         auto other = aggregator->route_of_path(request.info.path);
                         return other ? aggregator->serve(request, std::move(other)) : paths->serve(request);
                       }});
  return {};
}

Result<std::shared_ptr<Core>> Core::make(ServerOptions options) {
  auto core = std::make_shared<Core>();
  core->options = std::move(options);
  LAB_CHECK(core->load_keys());
  LAB_CHECK(core->wire());
  return core;
}

Task<Result<void>> Core::make_system_objects() {
  LAB_CO_CHECK(co_await apiserver::make_system_objects(*cache, *registry));
  if (options.authorization) {
    LAB_CO_CHECK(co_await authz::reconcile_policy(*cache, *registry));
  }
  LAB_CO_CHECK(co_await custom_resources->reconcile());
  LAB_CO_CHECK(co_await aggregator->make_own());
  if (options.store->shared())
    LAB_CO_CHECK(
        co_await hooks::reconcile_service_records(*options.store, *cache, [this] { return registry->catch_up(); }));
  system_objects_made = true;
  co_return Result<void>();
}

Task<Result<void>> Core::keep_own_service(int port) {
  if (options.advertise_address.empty()) co_return Result<void>();
  std::vector<std::string> addresses{options.advertise_address};
  if (options.store->shared()) {
    if (!masters) masters = std::make_unique<hooks::MasterLeases>(options.advertise_address);
    LAB_CO_TRY(addresses, co_await masters->renew(*cache, *registry));
  }
  co_return co_await hooks::keep_kubernetes_service(
      *cache, *registry,
      hooks::OwnAddress{.service_cidr = options.service_cidr,
                        .addresses = std::move(addresses),
                        .port = options.advertise_port > 0 ? options.advertise_port : port});
}

Task<void> Core::leave_own_service() {
  if (!masters) co_return;
  if (auto r = co_await masters->release(*registry); !r)
    log::warn("this master's lease could not be given up", {{"why", r.error().text()}});
}

}  // namespace lab::apiserver
