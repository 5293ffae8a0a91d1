// lab upgrade: another program for the daemons of this machine, with a way back. kubeadm's verbs.
//
// What is done is written down in kJournal before it is done, so that a run that was killed is completed by the next
// one: forwards, or back where it had begun to go back. The program that was there stays beside the new one
// (PROGRAM.old), the store's copy in kKeptStore.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bootstrap/common/cluster.h"
#include "bootstrap/common/progress.h"
#include "bootstrap/phases/phase.h"
#include "bootstrap/services/service_manager.h"
#include "bootstrap/upgrade/program.h"

namespace lab::bootstrap::upgrade {

inline constexpr const char* kDirectory = "/var/lib/lab/upgrade";
inline constexpr const char* kJournal = "/var/lib/lab/upgrade/journal.json";
inline constexpr const char* kKeptStore = "/var/lib/lab/upgrade/store";
inline constexpr const char* kStoreDirectory = "/var/lib/lab/server";

// What a run has begun; absent: none is under way.
struct Journal {
  std::string installed;  // the path that is replaced
  Program from, to;
  int data_format = 0;  // of the store before; 0: none on this machine
  bool begun = false;   // daemons may have been stopped, files replaced
  bool store_copied = false;
  bool going_back = false;
  bool cordoned = false;  // by us
};
Result<std::optional<Journal>> read_journal(const std::string& path = kJournal);
Result<void> write_journal(const Journal& journal, const std::string& path = kJournal);

struct Options {
  std::string program;         // the new one; empty: this one
  std::string kubeconfig;      // how to reach the cluster
  bool control_plane = false;  // `apply`: the cluster's own settings follow, too
  bool force = false;          // also an earlier version, and with nodes that are not Ready
  bool drain = false;
  std::chrono::seconds drain_timeout{300}, health_timeout{60};
  std::string kubernetes_version;                             // for ConfigMap kubeadm-config
  int (*format_of_store)(const std::string& path) = nullptr;  // 0: there is none
  RunOptions run;
};

struct Context {
  Options options;
  Progress progress;
  std::unique_ptr<ServiceManager> services;
  Journal journal;
  bool resumed = false;
  bool server = false;  // lab-server runs on this machine
  std::string node_name;
};

const std::vector<Phase<Context>>& phases();

// What would be done here, from the files alone: programs, formats, whether a run was cut off.
struct Facts {
  Program installed, fresh;
  bool server = false;
  int data_format = 0;
  bool under_way = false;
};
Result<Facts> facts(const Options& options);

// All phases. On failure after something was replaced, the previous program (and store, where its format had changed)
// is put back and started; the error says so.
Result<void> run_upgrade(Options options);

}  // namespace lab::bootstrap::upgrade
