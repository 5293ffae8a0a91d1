// Libvirt: a connection to a libvirt daemon. The seam to its C API: nothing else of that library is seen outside
// libvirt.cpp, which loads it when the first connection is opened. XML goes in and out as text (xml.h writes and reads
// it).
//
// Blocking; any thread may call at any time. Names are libvirt's own. What removes something takes its absence for
// done. Errors carry libvirt's words; kNotFound: there is no object of that name; kUnavailable: no library, or no
// daemon. Source: https://libvirt.org/html/index.html (libvirt 9.0; anything since 5.0 serves).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::join::vm {

struct Domain {
  std::string name, uuid;
  bool active = false;
  std::string xml;  // as it was defined
};

struct Network {
  bool active = false;
  std::string xml;
};

// What the daemon tells without being asked.
struct DomainEvent {
  enum Kind { kStarted, kStopped, kAgentConnected, kAgentGone, kOther };
  Kind kind = kOther;
  std::string detail;  // of kStopped: "shut down", "crashed", "failed", ...
};

class Libvirt {
 public:
  static Result<std::unique_ptr<Libvirt>> open(const std::string& uri);
  ~Libvirt();
  Libvirt(const Libvirt&) = delete;

  Result<std::vector<Domain>> domains();
  Result<Domain> domain(const std::string& name);
  Result<void> define_domain(const std::string& xml);      // anew, or instead of the one of that uuid
  Result<void> start_domain(const std::string& name);      // one that runs is left alone
  Result<void> shut_down_domain(const std::string& name);  // asks the guest; does not wait
  Result<void> destroy_domain(const std::string& name);    // at once, as by pulling the plug
  Result<void> undefine_domain(const std::string& name);

  Result<Network> network(const std::string& name);
  Result<void> define_network(const std::string& xml);
  Result<void> start_network(const std::string& name);
  Result<void> remove_network(const std::string& name);
  // <host .../> elements of the network's DHCP server, also while it runs.
  Result<void> add_dhcp_host(const std::string& network, const std::string& xml);
  Result<void> remove_dhcp_host(const std::string& network, const std::string& xml);

  // The pool is defined and started; one that is there stays.
  Result<void> ensure_pool(const std::string& name, const std::string& xml);
  Result<void> refresh_pool(const std::string& name);                 // it looks at its directory anew
  Result<void> remove_pool(const std::string& name);                  // its files stay
  Result<std::vector<std::string>> volumes(const std::string& pool);  // names; an absent pool has none
  Result<void> create_volume(const std::string& pool, const std::string& xml);
  Result<void> remove_volume(const std::string& pool, const std::string& name);

  // The next event of that domain that nobody has taken yet; none until the deadline: empty. Events count from open().
  std::optional<DomainEvent> next_event(const std::string& domain, std::chrono::milliseconds limit);

 private:
  struct Impl;
  explicit Libvirt(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::join::vm
