#include "orchestrator/controllers/endpoints.h"

#include <algorithm>
#include <map>

#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/service_endpoints.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

constexpr std::size_t kMaxAddresses = 1000;
constexpr const char* kOverCapacity = "endpoints.kubernetes.io/over-capacity";

struct Subset {
  std::map<std::string, json::Value> ready, not_ready;  // by address
};

json::Array values(std::map<std::string, json::Value>& addresses) {
  json::Array out;
  for (auto& [ip, address] : addresses) out.push_back(std::move(address));
  return out;
}

}  // namespace

json::Array endpoint_subsets(const json::Value& service, const std::vector<ObjectPtr>& pods) {
  bool publish_not_ready = json::flag(service, "spec", "publishNotReadyAddresses");
  bool ipv6 = json::as_str(json::list(service, "spec", "ipFamilies").empty()
                               ? json::null_value()
                               : json::list(service, "spec", "ipFamilies")[0]) == "IPv6";
  bool portless = json::list(service, "spec", "ports").empty();
  std::map<EndpointPorts, Subset> subsets;
  std::size_t total = 0;
  for (const auto& pod : pods) {
    if (!has_endpoint(*pod) || (is_terminating(*pod) && !publish_not_ready)) continue;
    std::string ip = address_of(*pod, ipv6);
    auto ports = ports_of(service, *pod);
    if (ip.empty() || (ports.empty() && !portless) || ++total > kMaxAddresses) continue;
    json::Value address = json::Object{{"ip", ip}};
    if (auto hostname = hostname_for(service, *pod); !hostname.empty()) json::set(address, hostname, "hostname");
    if (auto node = json::str(*pod, "spec", "nodeName"); !node.empty()) json::set(address, node, "nodeName");
    json::set(address, pod_reference(*pod), "targetRef");
    auto& subset = subsets[ports];
    (publish_not_ready || pod_ready(*pod) ? subset.ready : subset.not_ready)[ip] = std::move(address);
  }
  json::Array out;
  for (auto& [ports, subset] : subsets) {
    json::Object entry;
    if (!subset.ready.empty()) entry["addresses"] = values(subset.ready);
    if (!subset.not_ready.empty()) entry["notReadyAddresses"] = values(subset.not_ready);
    json::Array port_list;
    for (const auto& port : ports) {
      json::Object p;
      if (!port.name.empty()) p["name"] = port.name;
      p["port"] = port.port;
      p["protocol"] = port.protocol;
      if (!port.app_protocol.empty()) p["appProtocol"] = port.app_protocol;
      port_list.push_back(std::move(p));
    }
    if (!port_list.empty()) entry["ports"] = std::move(port_list);
    out.push_back(std::move(entry));
  }
  return out;
}

EndpointsController::EndpointsController(Context& context)
    : QueueController(context, "endpoints"),
      services_(own(res::services)),
      pods_(use(res::pods)),
      endpoints_(own(res::endpoints)) {
  pods_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    if (old && now && !endpoint_changed(*old, *now)) return;
    for (const auto* pod : {old.get(), now.get()})
      if (pod)
        for (const auto& key : services_selecting(services_, *pod)) queue_.add_after(key, gathering(key));
  });
}

// Writing a large object anew for every single pod would cost the square of their number.
Duration EndpointsController::gathering(const std::string& key) const {
  auto current = endpoints_.get(key);
  if (!current || json::list(*current, "subsets").empty()) return Duration::zero();
  bool large = json::list(json::list(*current, "subsets")[0], "addresses").size() > 100;
  return large ? std::chrono::milliseconds(50) : Duration::zero();
}

Task<Result<void>> EndpointsController::reconcile(std::string key) {
  ObjectPtr service = services_.get(key);
  ObjectPtr current = endpoints_.get(key);
  auto [ns, name] = client::split_key(key);
  if (!service) {
    // Leader election objects of old share the name of no Service: only what we made goes.
    if (current && label_of(*current, "endpoints.kubernetes.io/managed-by") == "endpoint-controller")
      co_return co_await delete_observed(context_, endpoints_, res::endpoints, current);
    co_return Result<void>();
  }
  if (!selects_pods(*service)) co_return Result<void>();
  auto pods = selected_pods(pods_, ns, json::map(*service, "spec", "selector"));

  json::Value next = current ? *current : json::Value(json::Object{{"apiVersion", "v1"}, {"kind", "Endpoints"}});
  json::set(next, name, "metadata", "name");
  json::set(next, ns, "metadata", "namespace");
  auto labels = labels_from(*service);
  labels["endpoints.kubernetes.io/managed-by"] = "endpoint-controller";
  json::set(next, std::move(labels), "metadata", "labels");
  if (pods.size() > kMaxAddresses)
    json::set(next, "truncated", "metadata", "annotations", kOverCapacity);
  else
    json::erase(next, "metadata", "annotations", kOverCapacity);
  auto subsets = endpoint_subsets(*service, pods);
  if (subsets.empty())
    json::erase(next, "subsets");
  else
    json::set(next, std::move(subsets), "subsets");
  if (current && next == *current) co_return Result<void>();

  Result<json::Value> written;
  if (current)
    written = co_await context_.client.update(res::endpoints, ns, std::move(next));
  else
    written = co_await context_.client.create(res::endpoints, ns, std::move(next));
  if (!written) {
    if (namespace_terminating(written.error())) co_return Result<void>();
    co_return std::unexpected(std::move(written).error());
  }
  endpoints_.observe(std::move(*written));
  co_return Result<void>();
}

}  // namespace lab::controllers
