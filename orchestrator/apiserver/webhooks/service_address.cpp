#include "orchestrator/apiserver/webhooks/service_address.h"

#include <random>
#include <vector>

namespace lab::apiserver::webhooks {
namespace {

std::size_t random_index(std::size_t count) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
}

}  // namespace

Result<ServiceAddress> resolve_service(const ObjectReader& reader, std::string_view ns, std::string_view name,
                                       int port) {
  static const api::KindPtr services = api::find_kind("", "v1", "services");
  static const api::KindPtr endpoints = api::find_kind("", "v1", "endpoints");
  const auto quoted = "\"" + std::string(name) + "\"";
  auto service = reader.get(*services, ns, name);
  if (!service) return fail(Code::kNotFound, "service " + quoted + " not found");
  if (json::str(*service, "spec", "type") == "ExternalName")
    return ServiceAddress{std::string(json::str(*service, "spec", "externalName")), port};
  const json::Value* wanted = nullptr;
  for (const auto& p : json::list(*service, "spec", "ports"))
    if (json::num(p, "port") == port) wanted = &p;
  if (!wanted) return fail(Code::kNotFound, "no service port " + std::to_string(port) + " found for service " + quoted);
  std::vector<ServiceAddress> ready;
  if (auto found = reader.get(*endpoints, ns, name))
    for (const auto& subset : json::list(*found, "subsets"))
      for (const auto& p : json::list(subset, "ports")) {
        if (json::str(p, "name") != json::str(*wanted, "name")) continue;
        for (const auto& address : json::list(subset, "addresses"))
          ready.push_back({std::string(json::str(address, "ip")), static_cast<int>(json::num(p, "port"))});
      }
  if (ready.empty()) return fail(Code::kUnavailable, "no endpoints available for service " + quoted);
  return ready[random_index(ready.size())];
}

}  // namespace lab::apiserver::webhooks
