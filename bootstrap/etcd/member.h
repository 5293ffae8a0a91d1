// A master's own etcd member ("stacked"): its service, and its coming and going in the etcd cluster. Blocking.
//
// Files and ports are kubeadm's: certificates below CERT_DIR/etcd, clients on 2379, members among themselves on 2380.
// The data lies in /var/lib/lab/etcd, so that an etcd of somebody else's is never touched.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bootstrap/services/service_manager.h"

namespace lab::store::etcd {
class Cluster;
}

namespace lab::bootstrap::etcd {

inline constexpr const char* kService = "lab-etcd";
inline constexpr const char* kDataDirectory = "/var/lib/lab/etcd";

struct Member {
  std::uint64_t id = 0;
  std::string name;  // empty: not started yet
  std::vector<std::string> peer_urls, client_urls;
  bool learner = false;
};

// This machine's member.
struct Local {
  std::string name, address, cert_dir;
  std::string peer_url() const { return "https://" + address + ":2380"; }
  std::string client_url() const { return "https://" + address + ":2379"; }
};

// Members of a cluster, through any of its endpoints; with the health check's certificate. Errors are the store's.
class Membership {
 public:
  static Result<Membership> connect(std::vector<std::string> endpoints, const std::string& cert_dir);
  Result<std::vector<Member>> list();
  // A learner: it receives the data, and counts for no majority before it is promoted (so adding cannot stop etcd).
  Result<std::vector<Member>> add_learner(const std::string& peer_url);
  Result<void> set_peer_url(std::uint64_t id, const std::string& url);
  Result<void> promote(std::uint64_t id);  // an error until it has caught up
  Result<void> remove(std::uint64_t id);
  std::uint64_t answered_by() const { return answered_by_; }  // the member that gave the last list

 private:
  std::uint64_t answered_by_ = 0;
  std::shared_ptr<store::etcd::Cluster> cluster_;
};

// Where the API server finds this machine's member, and what it shows it.
std::vector<std::string> server_flags(const std::string& cert_dir);

// Until this machine's member answers.
Result<void> wait_serving(ServiceManager& services, const std::string& cert_dir);
// kUnavailable names a member, other than this machine's, that does not answer: while one is away no other may be
// restarted.
Result<void> all_serve(const std::string& cert_dir);

// The first member of a new cluster, or a member that has its data already. Waits until it serves.
Result<void> start_first(ServiceManager& services, const Local& local);
// Joins the cluster that answers on `endpoints`; a half-made membership of an earlier run is completed or made anew.
Result<void> join(ServiceManager& services, const Local& local, const std::vector<std::string>& endpoints);
// After this machine's address has changed and lab-etcd was started anew with it: the other members learn where this one
// is. It reaches them by itself, so that no majority is lost in between.
Result<void> follow_address(ServiceManager& services, const Local& local);
// Leaves the cluster, if others remain in it. Nothing on a machine without a member.
Result<void> leave(const std::string& cert_dir);

}  // namespace lab::bootstrap::etcd
