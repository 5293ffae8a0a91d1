#include "orchestrator/controllers/endpointslice_mirroring.h"

#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/service_endpoints.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

namespace {

constexpr const char* kManagedBy = "endpointslice.kubernetes.io/managed-by";
constexpr const char* kMirror = "endpointslicemirroring-controller.k8s.io";
constexpr const char* kServiceName = "kubernetes.io/service-name";
constexpr const char* kSkip = "endpointslice.kubernetes.io/skip-mirror";

json::Array mirrored(const json::Value& subset, bool ipv6) {
  json::Array out;
  for (auto [field, ready] : {std::pair{"addresses", true}, {"notReadyAddresses", false}})
    for (const auto& address : json::list(subset, field)) {
      auto ip = json::str(address, "ip");
      if ((ip.find(':') != ip.npos) != ipv6) continue;
      json::Object endpoint{{"addresses", json::Array{json::Value(ip)}},
                            {"conditions", json::Object{{"ready", ready}}}};
      for (const char* kept : {"hostname", "nodeName", "targetRef"})
        if (json::has(address, kept)) endpoint[kept] = json::at(address, kept);
      out.push_back(std::move(endpoint));
    }
  return out;
}

json::Value slice_of(const json::Value& endpoints, const json::Value& subset, std::size_t number, bool ipv6) {
  json::Array list = mirrored(subset, ipv6);
  if (list.empty()) return {};
  json::Value slice = json::Object{{"apiVersion", "discovery.k8s.io/v1"}, {"kind", "EndpointSlice"}};
  json::set(slice, name_of(endpoints) + "-mirror-" + std::to_string(number) + (ipv6 ? "-v6" : ""), "metadata", "name");
  json::set(slice, ns_of(endpoints), "metadata", "namespace");
  json::Object labels = labels_of(endpoints);
  labels[kServiceName] = name_of(endpoints);
  labels[kManagedBy] = kMirror;
  json::set(slice, std::move(labels), "metadata", "labels");
  json::set(slice, json::Array{controller_ref(res::endpoints, endpoints)}, "metadata", "ownerReferences");
  json::set(slice, ipv6 ? "IPv6" : "IPv4", "addressType");
  json::set(slice, std::move(list), "endpoints");
  json::Array ports;
  for (const auto& port : json::list(subset, "ports")) {
    json::Value p = port;
    if (!json::has(p, "name")) json::set(p, "", "name");
    ports.push_back(std::move(p));
  }
  json::set(slice, std::move(ports), "ports");
  return slice;
}

}  // namespace

EndpointSliceMirroringController::EndpointSliceMirroringController(Context& context)
    : QueueController(context, "endpointslice-mirroring", 2),
      endpoints_(own(res::endpoints)),
      services_(own(res::services)),
      slices_(use(res::endpointslices)) {
  slices_.on_change([this](const ObjectPtr& old, const ObjectPtr& now) {
    const auto& slice = now ? *now : *old;
    if (label_of(slice, kManagedBy) == kMirror)
      queue_.add(ns_of(slice) + "/" + std::string(label_of(slice, kServiceName)));
  });
}

Task<Result<void>> EndpointSliceMirroringController::reconcile(std::string key) {
  ObjectPtr endpoints = endpoints_.get(key), service = services_.get(key);
  bool mirror = endpoints && service && json::map(*service, "spec", "selector").empty() &&
                label_of(*endpoints, kSkip) != "true" && !is_terminating(*endpoints);
  std::map<std::string, json::Value> wanted;
  if (mirror) {
    std::size_t number = 0;
    for (const auto& subset : json::list(*endpoints, "subsets")) {
      for (bool ipv6 : {false, true})
        if (auto slice = slice_of(*endpoints, subset, number, ipv6); !slice.is_null())
          wanted.emplace(name_of(slice), std::move(slice));
      ++number;
    }
  }
  for (const auto& slice : slices_.by_index("service", key)) {
    if (label_of(*slice, kManagedBy) != kMirror) continue;
    auto it = wanted.find(name_of(*slice));
    if (it == wanted.end()) {
      LAB_CO_CHECK(co_await delete_observed(context_, slices_, res::endpointslices, slice));
      continue;
    }
    json::Value next = *slice;
    for (const char* field : {"endpoints", "ports"}) json::set(next, json::at(it->second, field), field);
    json::set(next, json::at(it->second, "metadata", "labels"), "metadata", "labels");
    wanted.erase(it);
    if (next == *slice) continue;
    LAB_CO_TRY(auto written, co_await context_.client.update(res::endpointslices, ns_of(*slice), std::move(next)));
    slices_.observe(std::move(written));
  }
  for (auto& [name, slice] : wanted) {
    std::string ns = ns_of(slice);
    auto made = co_await context_.client.create(res::endpointslices, ns, std::move(slice));
    if (!made && namespace_terminating(made.error())) co_return Result<void>();
    if (!made) co_return std::unexpected(std::move(made).error());
    slices_.observe(std::move(*made));
  }
  co_return Result<void>();
}

}  // namespace lab::controllers
