// Ruleset: the nftables table `ip lab-proxy` as text: how it begins, and what to add and delete when services change.
//
// No chain per service. A frontend is one element of a verdict map, which leads to a chain shared by all frontends with
// as many endpoints; that chain picks one by `numgen random` from a second map, keyed by frontend and slot number:
//
//   map services               10.96.3.7 . tcp . 80       : goto address-pod-tcp-3
//   chain address-pod-tcp-3    dnat ip to ip daddr . meta l4proto . th dport . numgen random mod 3
//                              map @service-endpoints-tcp
//   map service-endpoints-tcp  10.96.3.7 . tcp . 80 . 0   : 10.244.1.5 . 8080
//
// So a packet costs the same with ten services as with ten thousand, and an endpoint that comes or goes changes two or
// three elements. Session affinity is learnt where the first packet leaves with its translated address, into a map from
// client and frontend to endpoint whose elements expire. Bit 0x4000 of the mark asks for masquerading, as with
// kube-proxy. All of this is pure: `Ruleset` holds what the kernel shall hold and gives the script that gets there.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/proxy/frontend.h"

namespace lab::proxy {

// UDP flows to forget once the script has run.
struct StaleFlows {
  FrontendKey frontend;
  std::set<Target> gone;      // flows translated to these
  bool untranslated = false;  // flows that began while the service had no endpoint
};

struct Change {
  std::string script;  // empty: nothing to do
  std::vector<StaleFlows> stale;
  std::set<std::string> sticky_gone;  // "FRONTEND : ENDPOINT" pairs whose remembered clients are to be forgotten
  std::size_t elements = 0;           // added and deleted
};

struct Element {
  std::string set, key, data;  // data is "" in plain sets
  auto operator<=>(const Element&) const = default;
};

// What the kernel's table holds. Remembered clients are not part of it.
struct Listing {
  std::set<Element> elements;
  std::set<std::string> chains;
};

// The endpoints behind each frontend, both as the kernel's maps write them: "10.96.3.7 . udp . 53", "udp . 30053".
using Serving = std::map<std::string, std::set<std::string>>;

class Ruleset {
 public:
  explicit Ruleset(std::vector<Cidr> pod_cidrs) : pod_cidrs_(std::move(pod_cidrs)) {}

  // The service's rules are now these (none: it is gone). Two services that claim one frontend: the first has it, and
  // waiting() names the others when it leaves.
  Change update(const std::string& service, const ServiceRules& rules);
  std::set<std::string> take_waiting();  // services to update again, since a frontend they want became free

  // From what the kernel holds to what it shall hold. Elements that are right are not touched, and rules are replaced
  // within their chains, so that no packet meets a table that is half full; remembered clients stay.
  std::string converge_script(const Listing& kernel);
  // The table from nothing, in place of what is there: for a table that is none of ours. Packets that are on their way
  // may miss it.
  std::string full_script();
  Serving serving() const;
  std::size_t frontends() const { return frontends_.size(); }

 private:
  struct Slots {
    Frontend frontend;  // targets in slot order
    std::string owner;
  };
  struct ServiceState {
    std::set<FrontendKey> keys;
    std::vector<IpAddress> cluster_ips, local_targets;
  };
  using Counts = std::map<IpAddress, int>;

  void put(const std::string& service, const Frontend& wanted, Change& change);
  void drop(const FrontendKey& key, Change& change);
  std::set<Element> elements() const;
  void ensure_chain(const Frontend& f, Change& change);
  void count(Counts& counts, const std::string& set, const std::vector<IpAddress>& before,
             const std::vector<IpAddress>& after, bool doubled, Change& change);

  std::vector<Cidr> pod_cidrs_;
  std::map<FrontendKey, Slots> frontends_;
  std::map<std::string, ServiceState> services_;
  std::map<FrontendKey, std::set<std::string>> waiting_;
  std::set<std::string> freed_;
  std::set<std::string> chains_;  // made so far; few, so they stay
  Counts cluster_ips_, hairpin_;
};

}  // namespace lab::proxy
