#include "bootstrap/node/process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/fs.h"
#include "base/netlink/netlink.h"
#include "base/subprocess.h"
#include "bootstrap/node/cgroups.h"
#include "bootstrap/node/guard.h"
#include "bootstrap/node/rootfs.h"

namespace lab::bootstrap {

namespace {

// The child makes its mount namespace by itself, once what it is a copy of has been built.
constexpr int kNamespaces = CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWPID;
constexpr const char* kFirstToDie = "500";  // oom_score_adj: what people run goes before the node's daemons
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

std::string hostname_of(const NodeLayout& layout) {
  return layout.base.substr(layout.base.rfind('/') + 1);
}

// The last words of a log, which the node may have made long.
std::string end_of(const std::string& path) {
  constexpr off_t kWords = 500;
  std::string out(kWords, '\0');
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  const ssize_t n = ::pread(fd, out.data(), out.size(), std::max<off_t>(::lseek(fd, 0, SEEK_END) - kWords, 0));
  ::close(fd);
  out.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  return out;
}

// One word from one process to another; its end without a word means that the other has failed.
struct Signal {
  int fds[2] = {-1, -1};
  Result<void> open() {
    if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno("make a pipe");
    return {};
  }
  void give() {
    (void)!::write(fds[1], "g", 1);
    ::close(fds[1]);
  }
  bool wait() {
    ::close(fds[1]);
    char word = 0;
    return ::read(fds[0], &word, 1) == 1;
  }
};

// fork() into new namespaces, of which the user namespace, when asked for, owns the others (clone(2)).
pid_t fork_into(int namespaces) {
  return static_cast<pid_t>(::syscall(SYS_clone, namespaces | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

Result<void> become_init(const NodeLayout& layout, const std::vector<Hierarchy>& hierarchies, bool own_users,
                         Signal& ready) {
  const std::string name = hostname_of(layout);
  // Still as this machine's root, whose directories may be closed to others.
  if (::chdir(layout.mount_point().c_str()) != 0) return fail_errno("enter " + layout.mount_point());
  if (own_users) LAB_CHECK(become_root());
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno("make a mount namespace");
  if (::sethostname(name.c_str(), name.size()) != 0) return fail_errno("set the host name");
  LAB_CHECK(enter_root(hierarchies));
  LAB_TRY(auto netlink, Netlink::open());
  LAB_TRY(auto loopback, netlink.link("lo"));
  LAB_CHECK(netlink.change_link(loopback.index, {.up = true}));
  (void)fs::write_in_place("/proc/sys/net/ipv4/ip_forward", "1");
  if (own_users) LAB_CHECK(guard_process());
  ready.give();
  const std::string path = std::string("PATH=") + kNodePath;
  const char* argv[] = {kNodeBinary, "supervise", nullptr};
  const char* env[] = {path.c_str(), "HOME=/root", "container=lab", "LANG=C.UTF-8", nullptr};
  ::execve(kNodeBinary, const_cast<char**>(argv), const_cast<char**>(env));
  return fail_errno("run " + std::string(kNodeBinary));
}

// The parent's part while the child waits: who it is, and the root that it is going to enter.
Result<void> build_for(pid_t child, const NodeLayout& layout, const UserRange& users) {
  if (users.empty()) return assemble_root(layout, {});
  LAB_CHECK(map_users(child, users));
  const std::string path = "/proc/" + std::to_string(child) + "/ns/user";
  const int ns = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (ns < 0) return fail_errno("open " + path);
  auto done = assemble_root(layout, {.users = users, .user_namespace = ns});
  ::close(ns);
  return done;
}

}  // namespace

int node_pid(const NodeLayout& layout) {
  return read_pid_file(layout).pid;
}

int await_node(const NodeLayout& layout) {
  const auto deadline = std::chrono::steady_clock::now() + kLaunchLimit;
  while (true) {
    const auto state = read_pid_file(layout);
    if (state.pid == 0 || state.ready) return state.pid;
    if (std::chrono::steady_clock::now() >= deadline) return 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

Result<int> launch_node(const NodeLayout& layout, const std::string& cgroup_path, const UserRange& users) {
  LAB_CHECK(fs::remove_file(layout.pid_file()));
  LAB_TRY(pid_t helper,
          spawn_daemon({.argv = {fs::self_exe(), "node-run", layout.base, cgroup_path, std::to_string(users.first)},
                        .log_path = layout.log_file(),
                        .directory = "/"}));
  const auto deadline = std::chrono::steady_clock::now() + kLaunchLimit;
  // Only the helper is waited for: other threads wait for children of theirs.
  bool ended = false;
  while (std::chrono::steady_clock::now() < deadline) {
    auto state = read_pid_file(layout);
    if (state.ready && ended) return state.pid;
    int status = 0;
    if (!ended && ::waitpid(helper, &status, WNOHANG) == helper) {
      ended = true;
      if (status != 0) break;  // its log says why
      continue;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return fail(Code::kTimeout, "node " + hostname_of(layout) + " did not start: " + end_of(layout.log_file()),
              "see " + layout.log_file());
}

Result<void> run_node(const std::string& base, const std::string& cgroup_path, const UserRange& users) {
  const NodeLayout layout{base};
  LAB_TRY(auto hierarchies, cgroup_hierarchies());
  LAB_CHECK(enter_cgroups(cgroup_path));
  // What is built here is in no other process's way, and goes with this one.
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno("make a mount namespace", "this needs root");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return fail_errno("make mounts private");
  Signal built, ready;
  LAB_CHECK(built.open());
  LAB_CHECK(ready.open());
  const pid_t child = fork_into(kNamespaces | (users.empty() ? 0 : CLONE_NEWUSER));
  if (child < 0) return fail_errno("make namespaces", "this needs root, and a kernel with all namespaces");
  if (child == 0) {
    ::close(ready.fds[0]);
    ::setsid();
    if (!built.wait()) ::_exit(1);  // the parent has said why
    return become_init(layout, hierarchies, !users.empty(), ready);
  }
  auto built_well = build_for(child, layout, users);
  const std::string line = std::to_string(child) + " " + start_time_of(child);
  if (built_well) built_well = fs::write_file(layout.pid_file(), line, 0600);
  if (!built_well) {
    ::close(built.fds[1]);
    ::waitpid(child, nullptr, 0);
    return built_well;
  }
  built.give();
  if (!ready.wait()) {
    ::waitpid(child, nullptr, 0);
    LAB_CHECK(fs::remove_file(layout.pid_file()));
    std::exit(1);  // the child has said why
  }
  LAB_CHECK(fs::write_file(layout.pid_file(), line + kReadyMark, 0600));
  std::exit(0);
}

namespace {

// "> /dev/stdout" opens a pipe anew, which only its owner may.
void give_pipes(int pid) {
  const std::string map = fs::read_file("/proc/" + std::to_string(pid) + "/uid_map").value_or("");
  unsigned inside = 0, user = 0;
  if (std::sscanf(map.c_str(), "%u %u", &inside, &user) != 2 || inside != 0) return;
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    struct stat st;
    if (::fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode)) (void)!::fchown(fd, user, user);
  }
}

}  // namespace

Result<void> enter_node(int pid) {
  LAB_CHECK(enter_cgroups_of(pid));
  (void)fs::write_in_place("/proc/self/oom_score_adj", kFirstToDie);
  // All are opened before the first is entered: afterwards /proc is another one. The user namespace comes first, which
  // gives the rights over the others; a node without one of its own has ours, which cannot be entered again.
  struct Namespace {
    const char* name;
    int type;
    int fd = -1;
  };
  Namespace all[] = {{"user", CLONE_NEWUSER}, {"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
                     {"net", CLONE_NEWNET},   {"pid", CLONE_NEWPID},       {"mnt", CLONE_NEWNS}};
  for (auto& ns : all) {
    const std::string path = "/proc/" + std::to_string(pid) + "/ns/" + ns.name;
    ns.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (ns.fd < 0) return fail_errno("open " + path, "is the node running? lab status");
  }
  struct stat theirs, ours;
  if (::fstat(all[0].fd, &theirs) != 0 || ::stat("/proc/self/ns/user", &ours) != 0)
    return fail_errno("compare user namespaces");
  const bool own_users = theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev;
  if (own_users) give_pipes(pid);
  for (auto& ns : all) {
    if ((ns.type != CLONE_NEWUSER || own_users) && ::setns(ns.fd, ns.type) != 0)
      return fail_errno(std::string("enter the node's ") + ns.name + " namespace");
    ::close(ns.fd);
  }
  if (own_users) {
    LAB_CHECK(become_root());
    LAB_CHECK(guard_process());
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
