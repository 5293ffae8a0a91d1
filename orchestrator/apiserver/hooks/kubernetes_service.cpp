// Service default/kubernetes: how Pods reach the API server.
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/hooks/policy.h"
#include "orchestrator/apiserver/hooks/ranges.h"

namespace lab::apiserver::hooks {
namespace {

using json::Array;
using json::Object;
using json::Value;

Array list_of(Value v) {
  Array out;
  out.push_back(std::move(v));
  return out;
}

Value object_of(std::string_view api_version, std::string_view kind, Object labels) {
  return Object{{"apiVersion", api_version},
                {"kind", kind},
                {"metadata", Object{{"name", "kubernetes"}, {"namespace", "default"}, {"labels", std::move(labels)}}}};
}

Value service(const Network& network, int port) {
  Value s = object_of("v1", "Service", Object{{"component", "apiserver"}, {"provider", "kubernetes"}});
  std::string ip = format_ipv4(network.first + 1);
  Object https{{"name", "https"}, {"port", 443}, {"protocol", "TCP"}, {"targetPort", port}};
  json::set(s,
            Object{{"clusterIP", ip},
                   {"clusterIPs", list_of(Value(ip))},
                   {"type", "ClusterIP"},
                   {"ports", list_of(std::move(https))}},
            "spec");
  return s;
}

Value port_of(int port) {
  return Object{{"name", "https"}, {"port", port}, {"protocol", "TCP"}};
}

Value endpoints(const OwnAddress& own) {
  Array addresses;
  for (const auto& a : own.addresses) addresses.push_back(Object{{"ip", a}});
  Value e = object_of("v1", "Endpoints", Object{{"endpointslice.kubernetes.io/skip-mirror", "true"}});
  Object subset{{"addresses", std::move(addresses)}, {"ports", list_of(port_of(own.port))}};
  json::set(e, list_of(std::move(subset)), "subsets");
  return e;
}

Value slice(const OwnAddress& own) {
  Value s = object_of("discovery.k8s.io/v1", "EndpointSlice", Object{{"kubernetes.io/service-name", "kubernetes"}});
  Array list;
  for (const auto& a : own.addresses)
    list.push_back(Object{{"addresses", list_of(Value(a))}, {"conditions", Object{{"ready", true}}}});
  json::set(s, own.addresses.front().find(':') == std::string::npos ? "IPv4" : "IPv6", "addressType");
  json::set(s, std::move(list), "endpoints");
  json::set(s, list_of(port_of(own.port)), "ports");
  return s;
}

// Makes the object, or brings the given fields to what they must be.
Task<Result<void>> ensure(const ObjectReader& reader, ObjectWriter& writer, Value wanted,
                          std::vector<std::string> fields) {
  auto kind = api::find_kind_by_name(json::str(wanted, "apiVersion"), json::str(wanted, "kind"));
  auto current = reader.get(*kind, "default", "kubernetes");
  if (!current) {
    auto made = co_await writer.create(kind, wanted);
    if (made || made.error().code != Code::kAlreadyExists)
      co_return made ? Result<void>() : Result<void>(std::unexpected(std::move(made.error())));
  }
  bool right = current != nullptr;
  for (const auto& f : fields) right = right && json::at(*current, f) == json::at(wanted, f);
  if (right) co_return Result<void>();
  ObjectWriter::Change change = [wanted, fields](Value& object) -> Result<void> {
    for (const auto& f : fields) json::set(object, json::at(wanted, f), f);
    return {};
  };
  auto changed = co_await writer.mutate(kind, "default", "kubernetes", change);
  if (!changed) co_return std::unexpected(std::move(changed.error()));
  co_return Result<void>();
}

// The range that Services get their addresses of, as an object (KEP-1880). Others may be made; none is allocated from.
Task<Result<void>> ensure_service_cidr(const ObjectReader& reader, ObjectWriter& writer, std::string cidr) {
  auto kind = api::find_kind("networking.k8s.io", "v1", "servicecidrs");
  if (reader.get(*kind, "", "kubernetes")) co_return Result<void>();
  Value range = Object{{"apiVersion", "networking.k8s.io/v1"}, {"kind", "ServiceCIDR"}};
  json::set(range, "kubernetes", "metadata", "name");
  json::set(range, list_of(Value(cidr)), "spec", "cidrs");
  auto made = co_await writer.create(kind, std::move(range));
  if (!made && made.error().code == Code::kAlreadyExists) co_return Result<void>();
  if (!made) co_return std::unexpected(std::move(made.error()));
  ObjectWriter::Change ready = [now = Loop::current()->wall()](Value& object) -> Result<void> {
    Object condition{{"type", "Ready"},
                     {"status", "True"},
                     {"reason", ""},
                     {"message", "Kubernetes Service CIDR is ready"},
                     {"lastTransitionTime", api::format_time(now)}};
    json::set(object, list_of(std::move(condition)), "status", "conditions");
    return {};
  };
  auto told = co_await writer.mutate(kind, "", "kubernetes", std::move(ready), "status");
  if (!told) co_return std::unexpected(std::move(told.error()));
  co_return Result<void>();
}

}  // namespace

Task<Result<void>> keep_kubernetes_service(const ObjectReader& reader, ObjectWriter& writer, OwnAddress own) {
  LAB_CO_TRY(auto network, Network::parse(own.service_cidr));
  LAB_CO_CHECK(co_await ensure_service_cidr(reader, writer, own.service_cidr));
  // The Service's own fields belong to whoever changes them; only its existence is kept.
  LAB_CO_CHECK(co_await ensure(reader, writer, service(network, own.port), {}));
  if (own.addresses.empty()) co_return Result<void>();
  LAB_CO_CHECK(co_await ensure(reader, writer, endpoints(own), {"subsets"}));
  co_return co_await ensure(reader, writer, slice(own), {"endpoints", "ports"});
}

}  // namespace lab::apiserver::hooks
