// What `lab certs rotate-ca` and `rotate-sa-key` share: the steps' frame on a master. bootstrap/certs changes this
// master's files; here the API server is restarted with them, and of several masters each is waited for.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "bootstrap/certs/ca_rotation.h"
#include "bootstrap/certs/certs.h"
#include "bootstrap/common/cluster.h"
#include "cli/command.h"
#include "cli/rotate_ca_nodes.h"

namespace lab::cli {

struct Rotation {
  bootstrap::certs::Renewal how;
  std::chrono::hours ca_validity{24 * 3650};
  std::string kubeconfig;
  bool force = false;
  std::string command = "rotate-ca", flags;  // "rotate-ca", " --ca etcd-ca"

  void say(const std::string& text) const;         // "[rotate-ca] ..."
  std::string run(const std::string& step) const;  // "lab certs rotate-ca prepare --ca etcd-ca"
};

// --kubeconfig, --cert-dir, --force.
std::vector<Option> rotation_options();
Rotation rotation_of(const Invocation& in, std::string command);
// Waits for the API server, which a run that was killed may have left on its way up; what was asked for at init holds
// for what is made now, too.
Result<std::unique_ptr<bootstrap::Cluster>> open_for(Rotation& job);

// What each step does; `may_begin`, if there is one, is asked before any but status.
struct RotationSteps {
  std::function<Result<void>()> status, prepare, change, end, may_begin;
};
// The step that was asked for: prepare, switch, finish, `all` three of them on a cluster of one master, or status.
Result<void> take_step(Rotation& job, const std::string& step, const RotationSteps& steps);

// Where a rotation stands and what comes next, for status; `both` says what holds between its first step and its last.
std::string standing(const Rotation& job, bootstrap::certs::CaStep step, const std::string& both);

// The API server reads its files at its start, and what it signs requests with.
Result<void> restart_server(const Rotation& job);
// Of several masters, the cluster hears of a step from the last one that takes it: what controllers and signers do,
// they do on any master. False: others come first, and were named.
Result<bool> all_masters(const Rotation& job, bootstrap::Cluster& cluster, const Missing& missing,
                         const std::string& step);
// kInvalid names masters that have not taken the step `before`.
Result<void> require_masters(const Rotation& job, bootstrap::Cluster& cluster, const Missing& missing,
                             const std::string& before);
// The same for nodes; `risk` is what becomes of those that --force leaves behind.
Result<void> require_nodes(const Rotation& job, bootstrap::Cluster& cluster, const Missing& missing,
                           const std::string& before, const std::string& risk);
// `all`, the three steps at once, is for one master.
Result<void> require_one_master(const Rotation& job, bootstrap::Cluster& cluster);
// Copies of keys that are being replaced: whoever joined as a master by them would sign with those.
Result<void> drop_uploaded_certificates(const Rotation& job, bootstrap::Cluster& cluster);

// rotate_inner_ca.cpp: the CAs that masters alone know.
int rotate_inner_ca(const Invocation& in);

}  // namespace lab::cli
