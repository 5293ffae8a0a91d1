#include "labs/terminal/shell.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "base/fs.h"
#include "base/io/descriptor.h"
#include "bootstrap/local/profile.h"
#include "bootstrap/node/process.h"
#include "bootstrap/node/rootfs.h"
#include "labs/terminal/protocol.h"
#include "labs/terminal/pty.h"

namespace lab::terminal {

namespace {

constexpr auto kStartLimit = std::chrono::seconds(20);
constexpr std::size_t kLongestAnswer = 8192;

// One message: JSON, and with it the master where there is one.
Result<void> send_answer(const json::Value& text, int master) {
  const std::string bytes = json::dump(text).substr(0, kLongestAnswer);
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (master >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    auto* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &master, sizeof master);
  }
  if (::sendmsg(kAnswer, &message, MSG_NOSIGNAL) < 0) return fail_errno("hand the terminal over");
  return {};
}

Result<Shell> receive_answer(int socket) {
  std::array<char, kLongestAnswer> bytes;
  iovec part{bytes.data(), bytes.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (n < 0) return fail_errno("take the terminal over");
  Shell out;
  for (auto* head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
    int fd = -1;
    if (head->cmsg_type == SCM_RIGHTS) std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
    if (fd >= 0) out.master = OwnedFd(fd);
  }
  if (n == 0)
    return fail(Code::kUnavailable, "the shell was not started", "try again; is the node running? lab status");
  LAB_TRY(auto v, json::parse({bytes.data(), static_cast<std::size_t>(n)}));
  LAB_CHECK(decode_answer(v));
  out.pid = static_cast<pid_t>(json::num(v, "pid"));
  // It comes from within a node, whose owner may put anything in our way there.
  siginfo_t ignored{};
  const bool ours =
      out.pid > 1 && ::waitid(P_PID, static_cast<id_t>(out.pid), &ignored, WEXITED | WNOHANG | WNOWAIT) == 0;
  if (!ours || !is_master(out.master.get()))
    return fail(Code::kUnavailable, "what the node gave is no terminal with a shell",
                "reset the node's /dev, or the node");
  return out;
}

// `lab terminal-shell` with one end of a socket as its descriptor 3.
Result<pid_t> launch(const std::vector<std::string>& argv, int answer) {
  std::vector<char*> args;
  for (const auto& a : argv) args.push_back(const_cast<char*>(a.c_str()));
  args.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, answer, kAnswer);  // without close-on-exec, also onto itself
  ::posix_spawn_file_actions_addclosefrom_np(&actions, kAnswer + 1);
  pid_t pid = 0;
  const int err = ::posix_spawn(&pid, args[0], &actions, nullptr, args.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (err != 0) return fail_errno(err, "run " + argv[0]);
  return pid;
}

Result<bootstrap::NodeState> running_node(bootstrap::NodeDriver& driver, const std::string& profile,
                                          const std::string& node) {
  LAB_TRY(auto states, driver.list());
  auto found = std::find_if(states.begin(), states.end(), [&](const auto& s) { return s.spec.name == node; });
  if (found == states.end())
    return fail(Code::kNotFound, "there is no node \"" + node + "\" in lab \"" + profile + "\"",
                "lab node list shows them");
  if (!found->running)
    return fail(Code::kUnavailable, "node \"" + node + "\" is not running", "start it: lab node start " + node);
  LAB_TRY(bool paused, driver.paused());
  if (paused)
    return fail(Code::kUnavailable, "lab \"" + profile + "\" is paused",
                "let it go on: lab unpause" + bootstrap::profile_flag(profile));
  return *found;
}

Result<void> start_in_node(const std::string& profile_name, const std::string& node, int cols, int rows) {
  LAB_TRY(auto profile, bootstrap::load_profile(profile_name));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  LAB_TRY(auto state, running_node(*driver, profile_name, node));
  Program program{.argv = {"bash", "-l"},
                  .env = {{"PATH", bootstrap::kNodePath},
                          {"HOME", "/root"},
                          {"USER", "root"},
                          {"LOGNAME", "root"},
                          {"SHELL", "/bin/bash"},
                          {"LANG", "C.UTF-8"},
                          {"TERM", "xterm-256color"},
                          {"COLORTERM", "truecolor"}}};
  if (state.pid != 0) {
    LAB_CHECK(bootstrap::enter_node(state.pid));
  } else {
    program.argv = {fs::self_exe(), "shell", "-p", profile_name, node};
    program.env["PATH"] = std::getenv("PATH") ? std::getenv("PATH") : bootstrap::kNodePath;
    for (const char* name : {"HOME", "LIBVIRT_DEFAULT_URI"})
      if (const char* value = std::getenv(name)) program.env[name] = value;
  }
  LAB_TRY(auto pty, open_pty(cols, rows));
  LAB_TRY(pid_t pid, run_on(pty, program, ChildOf::kParent));
  return send_answer(json::Object{{"pid", pid}}, pty.master.get());
}

}  // namespace

Result<void> run_terminal_shell(const std::string& profile, const std::string& node, int cols, int rows) {
  auto done = start_in_node(profile, node, cols, rows);
  if (done) return {};
  return send_answer(encode_error(done.error()), -1);
}

Task<int> wait_exit(pid_t child) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  if (fd < 0) co_return 255;  // somebody else has waited for it
  Descriptor ended(fd);
  int status = 0;
  while (::waitpid(child, &status, WNOHANG) == 0) co_await ended.readable();
  co_return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Task<Result<Shell>> start_shell(std::string profile, std::string node, int cols, int rows) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) co_return fail_errno("make a socket");
  Descriptor ours(ends[0]);
  OwnedFd theirs(ends[1]);
  std::vector<std::string> argv{fs::self_exe(), "terminal-shell",     profile,
                                node,           std::to_string(cols), std::to_string(rows)};
  LAB_CO_TRY(pid_t launcher, launch(argv, theirs.get()));
  theirs = OwnedFd();
  Deadline deadline(kStartLimit, [launcher] { ::kill(launcher, SIGKILL); });
  co_await ours.readable();
  auto shell = receive_answer(ours.fd());
  co_await wait_exit(launcher);  // it ends by itself now, or was killed
  if (!shell && deadline.expired())
    co_return fail(Code::kTimeout,
                   "node \"" + node + "\" gave no terminal within " + std::to_string(kStartLimit.count()) + " s",
                   "look at its load: lab status");
  co_return shell;
}

}  // namespace lab::terminal
