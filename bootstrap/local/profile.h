// A local lab's profile: what `lab start` was told, kept in /var/lib/lab/profiles/NAME.json.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "bootstrap/node/driver.h"
#include "bootstrap/node/layout.h"
#include "bootstrap/node/limits.h"
#include "bootstrap/node/network.h"

namespace lab::bootstrap {

struct Profile {
  std::string name = "lab";
  std::string driver = "namespace";
  LabNetwork network;
  std::vector<NodeSpec> nodes;           // masters first
  int masters = 1;                       // more than one share an etcd, which runs on each of them
  std::string token;                     // by which further nodes join
  bool encrypt = false;                  // what pods send to other nodes
  std::string ipam = "podcidr";          // where pods' addresses come from; or "ring"
  std::string kubeconfig;                // the user's file into which the context was merged; empty: none
  bool kubeconfig_made = false;          // that file did not exist before
  std::string forwarding_before;         // net.ipv4.ip_forward, put back by delete
  int node_grace_seconds = 8, pod_toleration_seconds = 5;
  std::string restoring;                 // the snapshot whose restore has begun and is not completed; empty: none
  std::string from;                      // "PROFILE/SNAPSHOT" of the lab that this one was started from; empty: none
  bool copying = false;                  // its files are not all there yet
  std::vector<std::string> images;       // shared image sets that its nodes use (snapshot/image_store.h)

  Isolation isolation;                   // what the lab may take as a whole, and as whom its nodes run

  LabLayout layout() const { return {name}; }
};

Result<Profile> load_profile(const std::string& name);     // NotFound says how to make one
Result<void> save_profile(const Profile& profile);
json::Value encode_profile(const Profile& profile);         // as it stands in the file
Profile decode_profile(const std::string& name, const json::Value& text);
Result<void> forget_profile(const std::string& name);       // the last step of a deletion; repeatable
Result<std::vector<std::string>> list_profiles();
Result<void> check_profile_name(const std::string& name);
Result<std::unique_ptr<NodeDriver>> make_driver(const Profile& profile);
// A driver of another floor, under the name that profiles give it. Before any thread makes one.
using DriverFactory = std::function<Result<std::unique_ptr<NodeDriver>>(const Profile&)>;
void add_driver(const std::string& name, DriverFactory factory);

// " --profile NAME" for commands that are shown to people; nothing for the default lab.
std::string profile_flag(const std::string& profile);

// One command at a time per profile: held until destruction. Conflict names the pid of the one that runs. A command that
// was killed may leave a helper that lets the lab go on (see life.cpp): that one is waited for.
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
