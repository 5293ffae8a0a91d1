// Zone: the cluster's names, after the specification "Kubernetes DNS-Based Service Discovery" 1.1.0.
//
//   SERVICE.NAMESPACE.svc.ZONE                    A/AAAA: cluster IPs, or ready endpoints of a headless service
//   HOSTNAME.SERVICE.NAMESPACE.svc.ZONE           A/AAAA of an endpoint (hostname, or its address with dashes)
//   _PORT._PROTOCOL.SERVICE.NAMESPACE.svc.ZONE    SRV
//   SERVICE.NAMESPACE.svc.ZONE                    CNAME of an ExternalName service
//   A-B-C-D.NAMESPACE.pod.ZONE                    A: the address spelled in the name, in existing namespaces
//   reverse names                                 PTR of cluster IPs and of endpoints of headless services
// Negative answers carry the SOA. Used on one thread; no I/O.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "orchestrator/dns/wire.h"

namespace lab::dns {

struct ZoneAnswer {
  bool ours = true;  // false: ask upstream
  Answer answer;
  std::string chase;  // a CNAME's target whose addresses the client needs in the same answer
};

class Zone {
 public:
  Zone(std::string domain, IpAddress server) : domain_(std::move(domain)), server_(server) {}

  // The service "NAMESPACE/NAME" with its EndpointSlices as they are now; null: it is gone.
  void set_service(const std::string& key, const json::Value* service, const std::vector<const json::Value*>& slices);
  void set_namespace(const std::string& name, bool exists);
  ZoneAnswer answer(const std::string& name, std::uint16_t type) const;
  bool owns(std::string_view name) const;  // in the cluster's domain
  std::size_t services() const { return services_.size(); }

 private:
  struct Port {
    std::string name, protocol;  // "_http", "_tcp"
    std::uint16_t number = 0;
  };
  struct Endpoint {
    std::string hostname;  // or the address with dashes
    IpAddress address;
    std::vector<Port> ports;
  };
  struct Service {
    std::vector<IpAddress> cluster_ips;
    std::string external_name;
    bool headless = false;
    std::vector<Port> ports;
    std::vector<Endpoint> endpoints;  // of headless services
    std::vector<std::pair<IpAddress, std::string>> pointers;
  };

  static std::vector<Endpoint> endpoints_of(const std::vector<const json::Value*>& slices);
  void add_pointers(const std::string& key, Service& s);
  void remove(const std::string& key);
  std::string service_name(const std::string& key) const;  // "SERVICE.NAMESPACE.svc.ZONE"
  bool has_namespace(std::string_view name) const;
  ZoneAnswer negative(Rcode rcode) const;
  ZoneAnswer found(std::vector<Record> records) const;  // no record: the name exists without that type
  ZoneAnswer apex(const std::string& name, std::uint16_t type) const;
  ZoneAnswer service_answer(const std::vector<std::string_view>& labels, const std::string& name,
                            std::uint16_t type) const;
  ZoneAnswer srv_answer(const Service& s, const std::string& target, std::string_view port, std::string_view protocol,
                        const std::string& name, std::uint16_t type) const;
  ZoneAnswer pod_answer(const std::vector<std::string_view>& labels, const std::string& name, std::uint16_t type) const;
  ZoneAnswer pointer_answer(const IpAddress& address, const std::string& name, std::uint16_t type) const;

  std::string domain_;
  IpAddress server_;
  std::map<std::string, Service> services_;
  std::map<IpAddress, std::multiset<std::string>> pointers_;
  std::set<std::string, std::less<>> namespaces_;
  std::uint32_t serial_ = 1;  // counts changes
};

}  // namespace lab::dns
