// The CNI plugin `lab-cni` (CNI specification 0.3.0 to 1.0.0: ADD, DEL, CHECK, VERSION).
//
// It asks the overlay agent for an address and wires the sandbox: a veth pair from the node's bridge to the sandbox's
// interface, the address, the default route, loopback up. Everything is undone when a step fails; ADD after a failed
// ADD works, DEL may be repeated and needs no sandbox any more. Under the name `loopback` it is that plugin, which
// runtimes call for every sandbox, so that no other package is needed.
#pragma once

#include <string>

namespace lab::overlay {

struct CniInvocation {
  std::string program;  // argv[0]'s last part: "lab-cni" or "loopback"
  std::string command;  // CNI_COMMAND
  std::string container_id, netns, ifname, args;
  std::string config;  // standard input
};

struct CniOutcome {
  int exit_code = 0;
  std::string output;  // standard output: a result or an error object; may be empty
};

CniOutcome run_cni(const CniInvocation& invocation);

// True when a binary of this name is meant to be the plugin.
bool is_cni_program(const std::string& argv0);
// Reads the environment and standard input, answers on standard output; the process's exit code.
int cni_main(const std::string& argv0);

}  // namespace lab::overlay
