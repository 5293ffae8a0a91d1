// A local lab's profile: what `lab start` was told, kept in /var/lib/lab/profiles/NAME.json.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bootstrap/node/driver.h"
#include "bootstrap/node/layout.h"
#include "bootstrap/node/network.h"

namespace lab::bootstrap {

struct Profile {
  std::string name = "lab";
  std::string driver = "namespace";
  LabNetwork network;
  std::vector<NodeSpec> nodes;           // the first is the master
  std::string token;                     // by which further nodes join
  std::string kubeconfig;                // the user's file into which the context was merged; empty: none
  bool kubeconfig_made = false;          // that file did not exist before
  std::string forwarding_before;         // net.ipv4.ip_forward, put back by delete
  int node_grace_seconds = 8, pod_toleration_seconds = 5;

  LabLayout layout() const { return {name}; }
};

Result<Profile> load_profile(const std::string& name);     // NotFound says how to make one
Result<void> save_profile(const Profile& profile);
Result<void> forget_profile(const std::string& name);       // the last step of a deletion; repeatable
Result<std::vector<std::string>> list_profiles();
Result<void> check_profile_name(const std::string& name);
Result<std::unique_ptr<NodeDriver>> make_driver(const Profile& profile);

// One command at a time per profile: held until destruction. Conflict names the pid of the one that runs.
class ProfileLock {
 public:
  static Result<ProfileLock> take(const std::string& profile);
  ProfileLock(ProfileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~ProfileLock();

 private:
  explicit ProfileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace lab::bootstrap
