// What runs on a host: POSIX sh, each with its arguments as $1, $2, ... (shell.h quotes them). Each may be cut anywhere
// and run again. Output is meant for facts.h and host_join.cpp; lines that these do not know are noise.
#pragma once

#include <string>
#include <vector>

namespace lab::join::ssh {

inline constexpr const char* kReleases = "/opt/lab/releases";
inline constexpr const char* kJobDirectory = "/var/lib/lab/join";

extern const char* const kProbeScript;   // RELEASE-ID, API-HOST, API-PORT: prints NAME=VALUE lines
extern const char* const kUnpackScript;  // RELEASE-ID; the archive on standard input
extern const char* const
    kLaunchScript;  // WANT; the job on standard input: prints "started", "attached" or "busy OTHER"
extern const char* const kFollowScript;   // OFFSET: kLogMark, then the job's log from that byte on, until the job ends
extern const char* const kVerdictScript;  // prints "exit CODE", "running" or "dead"

// What comes before it is not of the log: sudo may have something to say.
inline constexpr const char* kLogMark = "== log ==\n";

struct JobOptions {
  std::string release;               // id: which copy of the program joins
  std::vector<std::string> install;  // packages; empty: nothing is installed
  std::string package_manager;
  std::vector<std::string> join_arguments;  // of `lab join`
};
// The job: installs what was agreed to, joins, and leaves its exit code. kInstallFailed: the package manager's failure.
inline constexpr int kInstallFailed = 91;
std::string job_script(const JobOptions& options);
inline constexpr const char* kDebianEtcd = "etcd-server";
// "apt-get install -y containerd runc"; empty for a manager that is not known.
std::string install_command(const std::string& manager, const std::vector<std::string>& packages);

}  // namespace lab::join::ssh
