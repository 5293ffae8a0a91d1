// Running a compose project on a lab: up, down, ps and logs. Blocking; may be killed and called again at any point.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bootstrap/common/cluster.h"
#include "bootstrap/local/profile.h"
#include "labs/compose/objects.h"

namespace lab::compose {

struct ServiceState {
  std::string service, state, ports;  // "running (3/3)", "http://192.168.77.2:8000"
};

class Runner {
 public:
  // The lab of a profile, which must run.
  static Result<Runner> open(const std::string& profile);

  // Builds what has a build, writes the objects, services after those they depend on, and waits for conditions that
  // depends_on names. What an earlier up made and the file does not have any more goes.
  Result<void> up(Project& project, const std::function<void(const std::string&)>& say);
  // Until every service runs, or has ended where it is not to be restarted; false at the time's end with what is
  // missing.
  Result<void> wait(const Project& project, std::chrono::seconds limit);
  // Ends the services; volumes' contents stay.
  Result<void> stop(const std::string& project);
  // Removes everything of the project, volumes' contents too where asked.
  Result<void> down(const std::string& project, bool volumes);
  Result<std::vector<ServiceState>> states(const std::string& project);

  const Cluster& nodes() const { return nodes_; }
  bootstrap::Cluster& cluster() { return *cluster_; }
  const bootstrap::LabNetwork& network() const { return profile_.network; }  // where others than cluster() dial from

 private:
  Result<void> build(Service& service, const Project& project, const std::function<void(const std::string&)>& say);
  Result<void> wait_for(const Project& project, const std::string& service, Condition condition);
  Result<void> remove_others(const Project& project);
  Result<void> own_namespace(const std::string& project);  // Conflict when it is somebody else's

  bootstrap::Profile profile_;
  std::unique_ptr<bootstrap::NodeDriver> driver_;
  std::unique_ptr<bootstrap::Cluster> cluster_;
  Cluster nodes_;
};

}  // namespace lab::compose
