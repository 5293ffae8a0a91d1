// DnsServer: the cluster DNS of one node. It answers at the cluster DNS address, which is bound on this node's loopback
// device, so that a pod's question never leaves its node.
//
//   DnsServer dns({.client = &client, .address = 10.96.0.10, .upstreams = upstreams_of_resolv_conf(...)});
//   LAB_CHECK(dns.start(scope));
//
// Names of the cluster come from Services, EndpointSlices and Namespaces; all else is asked upstream. UDP and TCP.
// Lives on the scope's loop and must outlive the scope's tasks. Until the first lists are complete, cluster names get
// SERVFAIL, which makes clients ask again.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/io/listener.h"
#include "base/io/scope.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/dns/forwarder.h"
#include "orchestrator/dns/zone.h"

namespace lab {
class Descriptor;
}

namespace lab::dns {

struct DnsOptions {
  client::Client* client = nullptr;  // null: names are set through zone()
  std::string domain = "cluster.local";
  IpAddress address;         // the cluster DNS address
  int port = 53;             // 0: any free one, see port()
  bool bind_on_node = true;  // put `address` on the loopback device
  ForwarderOptions forward;
};

struct DnsStats {
  std::uint64_t queries = 0, local = 0, forwarded = 0, dropped = 0;
};

class DnsServer {
 public:
  explicit DnsServer(DnsOptions options);
  ~DnsServer();

  Result<void> start(Scope& scope);  // fails when the address cannot be bound
  bool synced() const;
  int port() const { return port_; }
  Zone& zone() { return zone_; }
  const DnsStats& stats() const { return stats_; }

  // Takes the address off this node; absent is fine.
  static Result<void> clean_up(const IpAddress& address);

 private:
  void watch(Scope& scope);
  void take_service(const std::string& key);
  Result<void> bind_sockets();
  Task<void> serve_udp(Scope& scope);
  Task<void> answer_udp(std::string packet, SocketAddress from);
  Task<void> serve_tcp(Scope& scope);
  Task<void> serve_connection(OwnedFd fd, std::stop_token stop);
  Task<void> close_at_stop(std::stop_token stop);
  // The answer to one message; "" when it deserves none.
  Task<std::string> answer(std::string packet, bool tcp);
  // The same without waiting, where the zone alone can tell.
  std::optional<std::string> answer_now(const Query& query, bool tcp) const;
  Task<std::string> follow(Query query, ZoneAnswer found, std::size_t limit);

  DnsOptions options_;
  Zone zone_;
  std::optional<Forwarder> forwarder_;
  std::unique_ptr<client::Informer> services_, slices_, namespaces_;
  std::unique_ptr<Descriptor> udp_;
  std::unique_ptr<Listener> tcp_;
  int port_ = 0;
  int forwarding_ = 0;         // questions at upstream at the moment
  std::set<Stream*> streams_;  // open connections
  DnsStats stats_;
};

}  // namespace lab::dns
