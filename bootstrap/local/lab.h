// The local lab: start, stop, delete, status and nodes, over a NodeDriver. minikube's verbs.
//
// The nodes come up by running the same `lab init` and `lab join` inside them. Everything may be killed at any point:
// the next start completes it, delete removes whatever there is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bootstrap/common/cluster.h"
#include "bootstrap/common/progress.h"
#include "bootstrap/local/profile.h"

namespace lab::bootstrap {

struct StartOptions {
  std::string profile = "lab";
  std::string driver = "namespace";
  int nodes = 3;                         // 0: as many as there are
  int masters = 0;                       // of these, for a new lab; 0: one, or as many as there are
  bool encrypt = false;                  // what pods send to other nodes; for a new lab
  std::string ipam;                      // "podcidr" or "ring", for a new lab; "": podcidr, or as it is
  // A new lab whose network has no way in or out (node/network.h): any number of them may have the same addresses.
  bool isolated = false;
  // "PROFILE/SNAPSHOT" of another isolated lab: the new one begins as that one was, with its names, addresses,
  // certificates and keys, and is isolated, too. `nodes` 0: as many as that one had. Its images are shared, not copied.
  std::string from;
  std::uint64_t memory_bytes = 0;        // per node
  double cpus = 0;
  std::optional<LabLimits> limits;       // of the lab as a whole; nothing: as they were, none for a new one
  bool user_namespace = false;           // root in its nodes is an ordinary user of this machine; for a new lab
  bool initialise = true;                // false: empty nodes, for doing init and join by hand
  bool merge_kubeconfig = true;
  int node_grace_seconds = 8, pod_toleration_seconds = 5;
};
Result<void> start_lab(const StartOptions& options);
Result<void> stop_lab(const std::string& profile);
Result<void> delete_lab(const std::string& profile);

struct NodeStatus {
  std::string name, type, address;       // type: "Control Plane" or "Worker"
  std::string host, kubelet, apiserver, kubeconfig;   // minikube's words; apiserver is empty on workers
};
Result<std::vector<NodeStatus>> lab_status(const std::string& profile);

// What the lab takes now, with what its own disk holds. Zeros while it does not run.
Result<LabUsage> lab_usage(const Profile& profile);

Result<std::string> add_node(const std::string& profile, const std::string& name);   // the name it has
Result<void> delete_node(const std::string& profile, const std::string& name);
Result<void> start_node(const std::string& profile, const std::string& name);
Result<void> stop_node(const std::string& profile, const std::string& name);

// Imports image archives into nodes' containerd; all nodes when none is named.
Result<void> load_images(const Profile& profile, NodeDriver& driver, const std::vector<std::string>& nodes,
                         const std::vector<std::string>& archives);

Result<std::string> admin_kubeconfig(const Profile& profile, NodeDriver& driver);
Result<std::unique_ptr<Cluster>> open_cluster(const Profile& profile, NodeDriver& driver);

}  // namespace lab::bootstrap
