#include "bootstrap/node/process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/fs.h"
#include "base/netlink/netlink.h"
#include "base/subprocess.h"
#include "bootstrap/node/cgroups.h"
#include "bootstrap/node/rootfs.h"

namespace lab::bootstrap {

namespace {

// The mount namespace is made by the child alone: its parent writes the pid file in the host's tree.
constexpr int kNamespaces = CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWPID;
constexpr auto kLaunchLimit = std::chrono::seconds(20);
constexpr const char* kReadyMark = " ready";

std::string start_time_of(int pid) {
  auto stat = fs::read_file("/proc/" + std::to_string(pid) + "/stat");
  if (!stat) return {};
  auto at = stat->rfind(')');
  for (int field = 2; at != std::string::npos && field < 22; ++field) at = stat->find(' ', at + 1);
  return at == std::string::npos ? std::string() : stat->substr(at + 1, stat->find(' ', at + 1) - at - 1);
}

// "PID STARTTIME" or, once the root is built, "PID STARTTIME ready".
struct PidFile {
  int pid = 0;
  std::string start_time;
  bool ready = false;
};
PidFile read_pid_file(const NodeLayout& layout) {
  PidFile out;
  auto text = fs::read_file(layout.pid_file());
  if (!text) return out;
  auto space = text->find(' ');
  if (space == std::string::npos) return out;
  out.pid = std::atoi(text->c_str());
  out.ready = text->ends_with(kReadyMark);
  out.start_time = text->substr(space + 1, text->size() - space - 1 - (out.ready ? std::strlen(kReadyMark) : 0));
  if (out.pid <= 0 || !process_alive(out.pid) || start_time_of(out.pid) != out.start_time) out = {};
  return out;
}

std::string hostname_of(const NodeLayout& layout) { return layout.base.substr(layout.base.rfind('/') + 1); }

// A pipe by which the child tells its parent, in whose pid namespace the number means something, that the root stands.
struct Handshake {
  int fds[2] = {-1, -1};
  Result<void> open() {
    if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno("make a pipe");
    return {};
  }
};

Result<void> become_init(const NodeLayout& layout, const std::vector<Hierarchy>& hierarchies, int ready_fd) {
  const std::string name = hostname_of(layout);
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno("make a mount namespace");
  if (::sethostname(name.c_str(), name.size()) != 0) return fail_errno("set the host name");
  LAB_CHECK(enter_root(layout, hierarchies));
  LAB_TRY(auto netlink, Netlink::open());
  LAB_TRY(auto loopback, netlink.link("lo"));
  LAB_CHECK(netlink.change_link(loopback.index, {.up = true}));
  (void)fs::write_in_place("/proc/sys/net/ipv4/ip_forward", "1");
  (void)!::write(ready_fd, "r", 1);
  ::close(ready_fd);
  const std::string path = std::string("PATH=") + kNodePath;
  const char* argv[] = {kNodeBinary, "supervise", nullptr};
  const char* env[] = {path.c_str(), "HOME=/root", "container=lab", "LANG=C.UTF-8", nullptr};
  ::execve(kNodeBinary, const_cast<char**>(argv), const_cast<char**>(env));
  return fail_errno("run " + std::string(kNodeBinary));
}

}  // namespace

int node_pid(const NodeLayout& layout) { return read_pid_file(layout).pid; }

Result<int> launch_node(const NodeLayout& layout, const std::string& cgroup_path) {
  LAB_CHECK(fs::remove_file(layout.pid_file()));
  LAB_TRY(pid_t helper, spawn_daemon({.argv = {fs::self_exe(), "node-run", layout.base, cgroup_path}, .log_path = layout.log_file(), .directory = "/"}));
  const auto deadline = std::chrono::steady_clock::now() + kLaunchLimit;
  // Only the helper is waited for: other threads wait for children of theirs.
  bool ended = false;
  while (std::chrono::steady_clock::now() < deadline) {
    auto state = read_pid_file(layout);
    if (state.ready && ended) return state.pid;
    int status = 0;
    if (!ended && ::waitpid(helper, &status, WNOHANG) == helper) {
      ended = true;
      if (status != 0) break;   // its log says why
      continue;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  std::string log;
  if (auto text = fs::read_file(layout.log_file())) log = text->substr(text->size() > 500 ? text->size() - 500 : 0);
  return fail(Code::kTimeout, "node " + hostname_of(layout) + " did not start: " + log, "see " + layout.log_file());
}

Result<void> run_node(const std::string& base, const std::string& cgroup_path) {
  const NodeLayout layout{base};
  LAB_TRY(auto hierarchies, cgroup_hierarchies());
  LAB_CHECK(enter_cgroups(cgroup_path));
  if (::unshare(kNamespaces) != 0) return fail_errno("make namespaces", "this needs root, and a kernel with all namespaces");
  Handshake ready;
  LAB_CHECK(ready.open());
  pid_t child = ::fork();
  if (child < 0) return fail_errno("fork");
  if (child == 0) {
    ::close(ready.fds[0]);
    ::setsid();
    return become_init(layout, hierarchies, ready.fds[1]);
  }
  ::close(ready.fds[1]);
  const std::string line = std::to_string(child) + " " + start_time_of(child);
  LAB_CHECK(fs::write_file(layout.pid_file(), line, 0600));
  char mark = 0;
  if (::read(ready.fds[0], &mark, 1) != 1) {
    ::waitpid(child, nullptr, 0);
    LAB_CHECK(fs::remove_file(layout.pid_file()));
    std::exit(1);   // the child has said why
  }
  LAB_CHECK(fs::write_file(layout.pid_file(), line + kReadyMark, 0600));
  std::exit(0);
}

Result<void> enter_node(int pid) {
  LAB_CHECK(enter_cgroups_of(pid));
  // All are opened before the first is entered: afterwards /proc is another one.
  struct Namespace {
    const char* name;
    int type;
    int fd = -1;
  };
  Namespace all[] = {{"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
                     {"net", CLONE_NEWNET},       {"pid", CLONE_NEWPID}, {"mnt", CLONE_NEWNS}};
  for (auto& ns : all) {
    const std::string path = "/proc/" + std::to_string(pid) + "/ns/" + ns.name;
    ns.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (ns.fd < 0) return fail_errno("open " + path, "is the node running? lab status");
  }
  for (auto& ns : all) {
    if (::setns(ns.fd, ns.type) != 0) return fail_errno(std::string("enter the node's ") + ns.name + " namespace");
    ::close(ns.fd);
  }
  if (::chdir("/root") != 0 && ::chdir("/") != 0) return fail_errno("enter /");
  return {};
}

Result<int> exec_in_node(int pid, const std::vector<std::string>& argv, const std::map<std::string, std::string>& env) {
  LAB_CHECK(enter_node(pid));
  // Signals of the terminal reach the child by themselves; this process only waits for it.
  for (int s : {SIGINT, SIGQUIT}) ::signal(s, SIG_IGN);
  pid_t child = ::fork();
  if (child < 0) return fail_errno("fork");
  if (child == 0) {
    for (int s : {SIGINT, SIGQUIT}) ::signal(s, SIG_DFL);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::clearenv();
    ::setenv("PATH", kNodePath, 1);
    ::setenv("HOME", "/root", 1);
    ::setenv("LANG", "C.UTF-8", 1);
    for (const auto& [k, v] : env) ::setenv(k.c_str(), v.c_str(), 1);
    std::vector<char*> args;
    for (const auto& a : argv) args.push_back(const_cast<char*>(a.c_str()));
    args.push_back(nullptr);
    ::execvp(args[0], args.data());
    int err = errno;
    ::dprintf(STDERR_FILENO, "lab: %s: %s\n", args[0], std::strerror(err));
    ::_exit(err == ENOENT ? 127 : 126);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace lab::bootstrap
