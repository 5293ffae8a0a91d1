// Preflight: what must hold on a machine before anything is written to it. Checks carry kubeadm's names, so that
// --ignore-preflight-errors means what people know.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::bootstrap {

struct PreflightFinding {
  std::string check;    // "Port-6443"
  std::string message;  // what is wrong
  std::string fix;      // what to do
  bool fatal = true;
};

struct PreflightInput {
  bool control_plane = true;
  int api_port = 6443;
  std::string cri_socket;
  std::string node_name;
  std::string data_directory = "/var/lib/lab";
  std::uint64_t need_bytes = 200ull << 20;  // what init or join will write, with room to run
  std::string image_directory;                    // where the runtime will unpack images; empty: not looked at
  std::uint64_t need_image_bytes = 150ull << 20;  // of the bundled ones
  std::vector<std::string> ranges;          // of pods and services, where they are known: "10.96.0.0/12"
  std::string dns_address;                  // of the cluster's name server, where it is known
  bool may_change = true;                   // forwarding may be switched on
  std::string root;                         // before the paths of files: a tree that shows another machine
};

std::vector<PreflightFinding> run_preflight(const PreflightInput& input);
// What reset needs.
std::vector<PreflightFinding> run_reset_preflight();
// Routes of this machine that lie in the ranges: join learns those from the cluster, after its other checks.
std::vector<PreflightFinding> check_host_routes(const PreflightInput& input);

// Warns of what is not fatal or ignored ("all" ignores everything); an error of Code::kInvalid lists the rest.
// Its context marks it as a preflight failure (exit code 3).
Result<void> judge_preflight(const std::vector<PreflightFinding>& findings, const std::vector<std::string>& ignored,
                             std::vector<std::string>& warnings);
bool is_preflight_failure(const Error& error);

// The process that listens on a TCP port: "containerd (pid 123)"; empty when none or unknown.
std::string port_owner(int port);

}  // namespace lab::bootstrap
