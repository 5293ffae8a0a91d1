// How an agent is set up. Paths are absolute; names of fields follow the kubelet's configuration where it has them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/io/loop.h"
#include "base/result.h"

namespace lab::agent {

struct Taint {
  std::string key, value, effect;  // effect: NoSchedule, PreferNoSchedule, NoExecute
};

struct AgentOptions {
  std::string node_name;
  std::string node_ip;   // empty: the address of the default route's interface
  std::string hostname;  // empty: node_name
  std::map<std::string, std::string> labels;
  std::vector<Taint> register_taints;
  std::string provider_id;

  std::string cri_socket = "/run/containerd/containerd.sock";
  std::string root_dir = "/var/lib/kubelet";
  std::string pod_log_dir = "/var/log/pods";
  std::string container_log_dir = "/var/log/containers";      // links to the pods' logs; empty: none
  std::string static_pod_path = "/etc/kubernetes/manifests";  // empty: no static pods
  std::string seccomp_dir;                                    // localhost seccomp profiles; empty: ROOT_DIR/seccomp

  std::vector<std::string> cluster_dns;
  std::string cluster_domain = "cluster.local";
  std::string resolv_conf = "/etc/resolv.conf";

  std::string cgroup_root = "/";
  std::string cgroup_driver = "cgroupfs";
  int max_pods = 110;
  std::string allocatable_memory_reserved;  // quantities set aside for the system; empty: none
  std::string allocatable_cpu_reserved, allocatable_storage_reserved;
  std::int64_t pod_pids_limit = -1;  // processes of a pod; below 1: no limit

  // The kubelet's own HTTPS server. port -1: none; 0: any.
  std::string listen_address = "0.0.0.0";
  int port = 10250;
  std::string serving_certificate_pem, serving_key_pem;  // without them no server runs
  std::string client_ca_pem;                             // signs the API server's client certificate; may be a bundle
  // Answers /lab/node (GET, POST) for callers that may proxy to the node; returns at once. On a connection thread.
  std::function<Result<std::string>(const std::string& method, const std::string& body)> node_call;
  // Called on a connection's thread when the master says (PUT /lab/server) that it has another address now. Empty: it is
  // not listened to.
  std::function<Result<void>(const std::string& server)> follow_master;

  Duration node_lease_interval = std::chrono::seconds(10);
  Duration node_status_interval = std::chrono::seconds(10);        // how often conditions are looked at
  Duration node_status_report_interval = std::chrono::minutes(5);  // written at least so often
  Duration volume_refresh_interval = std::chrono::seconds(60);     // how old ConfigMaps in volumes may become
  Duration manifest_interval = std::chrono::seconds(20);           // besides inotify
  Duration gc_interval = std::chrono::minutes(1);
  Duration image_gc_interval = std::chrono::minutes(5);
  int image_gc_high_percent = 85, image_gc_low_percent = 80;
  Duration image_gc_min_age = std::chrono::minutes(2);
  std::int64_t log_max_bytes = 10 << 20;
  int log_max_files = 5;
  std::int64_t eviction_memory_bytes = 100 << 20;  // below: MemoryPressure
  int eviction_disk_percent = 10;                  // free below: DiskPressure
  std::int64_t eviction_disk_bytes = 0;            // the same, in bytes
  int eviction_inodes_percent = 5;                 // the same, of inodes
  std::int64_t eviction_pids = 100;                // fewer that may still be made: PIDPressure
  Duration backoff_initial = std::chrono::seconds(10), backoff_max = std::chrono::minutes(5);
  Duration pull_timeout = std::chrono::minutes(10);
  int max_parallel_pulls = 0;  // 0: as many as there are
  // An image that policy Always wants pulled is used as it is on this node when its registry cannot be reached.
  bool use_present_image_offline = true;
};

}  // namespace lab::agent
