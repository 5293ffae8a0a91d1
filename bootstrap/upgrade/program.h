// The program that this machine's daemons run, and putting another one in its place. Blocking.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::bootstrap::upgrade {

struct Program {
  std::string path;
  std::string version;  // "v0.1.0"
  std::string digest;   // SHA-256, its first 12 digits: tells builds of one version apart
  int data_format = 0;  // the embedded store's version that it reads up to; 0: it does not say
  std::string text() const { return version + " (" + digest + ")"; }
};
// Runs `PATH version -o json`. Invalid when the file is no such program, or does not run on this machine.
Result<Program> inspect_program(const std::string& path);

// What lab-agent's unit runs, be it systemd's or the supervisor's. NotFound on a machine that is no node.
Result<std::string> installed_program();

// Copies `from` and what lies beside it (lib/, share/) over `to`: each file is the old one or the new one at every
// moment. The program that was there stays as TO.old. Nothing happens where `to` is `from` already.
Result<void> install_program(const Program& from, const std::string& to);
// TO.old becomes TO again, if it is there.
Result<void> restore_program(const std::string& to);

// Why `path` cannot be replaced: its directory is read-only, or has not `need` bytes free. "" when it can.
std::string why_not_replaceable(const std::string& path, std::uint64_t need);

// -1, 0, 1 as a is older than, the same as, newer than b: "v0.10.0" is newer than "v0.9.3".
int compare_versions(const std::string& a, const std::string& b);

}  // namespace lab::bootstrap::upgrade
