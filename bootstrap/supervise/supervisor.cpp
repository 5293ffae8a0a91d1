#include "bootstrap/supervise/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/fs.h"
#include "base/log.h"
#include "bootstrap/supervise/child.h"

namespace lab::bootstrap {

namespace {

constexpr auto kRotateEvery = std::chrono::seconds(20);
constexpr std::size_t kLongestRequest = 64 * 1024;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return fail(Code::kInvalid, "the socket path is too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

class Supervisor {
 public:
  explicit Supervisor(SupervisorOptions options) : options_(std::move(options)) {}
  ~Supervisor() {
    if (signals_ >= 0) ::close(signals_);
    if (listener_ >= 0) {
      ::close(listener_);
      ::unlink(options_.socket_path.c_str());
    }
  }

  Result<void> open() {
    for (const auto& dir : {options_.unit_directory, options_.log_directory, options_.pid_directory})
      LAB_CHECK(fs::make_dirs(dir));
    LAB_CHECK(fs::make_dirs(options_.socket_path.substr(0, options_.socket_path.rfind('/'))));
    if (ask_supervisor(json::Object{{"op", "list"}}, options_.socket_path))
      return fail(Code::kAlreadyExists, "another supervisor serves " + options_.socket_path);
    sigset_t set;
    sigemptyset(&set);
    for (int s : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, s);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals_ < 0) return fail_errno("make a signalfd");
    LAB_TRY(auto address, address_of(options_.socket_path));
    ::unlink(options_.socket_path.c_str());
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t before = ::umask(0077);
    int bound = ::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::umask(before);
    if (bound != 0 || ::listen(listener_, 16) != 0) return fail_errno("listen on " + options_.socket_path);
    return reload();
  }

  void run() {
    auto rotate_at = now() + kRotateEvery;
    while (!(stopping_ && none_running())) {
      for (auto& c : children_) c->step(now());
      drop_stopped();
      Time next = rotate_at;
      for (auto& c : children_) next = std::min(next, c->next());
      auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(next - now()).count() + 1;
      pollfd fds[2] = {{signals_, POLLIN, 0}, {listener_, POLLIN, 0}};
      ::poll(fds, 2, static_cast<int>(std::clamp<long long>(wait, 0, 60000)));
      if (fds[0].revents) take_signals();
      if (fds[1].revents) serve();
      if (now() >= rotate_at) {
        for (auto& c : children_) c->rotate_log();
        rotate_at = now() + kRotateEvery;
      }
    }
  }

 private:
  static Time now() { return std::chrono::steady_clock::now(); }

  bool none_running() const {
    return std::none_of(children_.begin(), children_.end(), [](const auto& c) { return c->running(); });
  }

  Child* find(std::string_view name) {
    for (auto& c : children_)
      if (c->unit().name == name) return c.get();
    return nullptr;
  }

  // Units whose file has gone are stopped; new ones are started; changed ones take effect at their next start.
  Result<void> reload() {
    LAB_TRY(auto units, read_units(options_.unit_directory));
    for (auto& c : children_) {
      bool kept = std::any_of(units.begin(), units.end(), [&](const Unit& u) { return u.name == c->unit().name; });
      if (!kept) c->want_stopped();
    }
    for (auto& unit : units) {
      if (Child* have = find(unit.name)) {
        have->replace(std::move(unit));
      } else {
        children_.push_back(std::make_unique<Child>(std::move(unit), options_));
        children_.back()->want_running();
      }
    }
    return {};
  }

  void drop_stopped() {
    std::erase_if(children_, [&](const auto& c) {
      return !c->wanted() && !c->running() && !fs::exists(fs::join(options_.unit_directory, c->unit().name + ".json"));
    });
  }

  void stop_all() {
    stopping_ = true;
    for (auto& c : children_) c->want_stopped();
  }

  void take_signals() {
    signalfd_siginfo info;
    while (::read(signals_, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGCHLD)
        reap();
      else if (info.ssi_signo == SIGHUP)
        (void)reload();
      else
        stop_all();
    }
  }

  void reap() {
    int status = 0;
    pid_t pid;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
      for (auto& c : children_)
        if (c->pid() == pid) c->ended(status, now());
    }
  }

  void serve() {
    int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    timeval limit{.tv_sec = 2, .tv_usec = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    std::string request;
    char chunk[4096];
    while (request.find('\n') == std::string::npos && request.size() < kLongestRequest) {
      ssize_t n = ::read(fd, chunk, sizeof chunk);
      if (n <= 0) break;
      request.append(chunk, static_cast<std::size_t>(n));
    }
    std::string answer = json::dump(answer_to(request)) + "\n";
    (void)!::write(fd, answer.data(), answer.size());
    ::close(fd);
  }

  json::Value answer_to(const std::string& text) {
    auto request = json::parse(text);
    if (!request) return json::Object{{"error", request.error().text()}};
    std::string_view op = json::str(*request, "op"), name = json::str(*request, "name");
    if (op == "list") {
      json::Array units;
      for (auto& c : children_) units.push_back(c->describe());
      return json::Object{{"units", std::move(units)}};
    }
    if (op == "shutdown") {
      stop_all();
      return json::Object{{"ok", true}};
    }
    if (op == "reload" || op == "start" || op == "restart") {
      if (auto r = reload(); !r) return json::Object{{"error", r.error().text()}};
      if (op == "reload") return json::Object{{"ok", true}};
    }
    Child* child = find(name);
    if (!child) return json::Object{{"error", "there is no unit '" + std::string(name) + "'"}};
    if (op == "stop" || op == "restart") child->want_stopped();
    // A stop is pending: being wanted again makes the end a restart.
    if (op == "start" || op == "restart") child->want_running();
    if (op != "start" && op != "stop" && op != "restart") return json::Object{{"error", "unknown op"}};
    return json::Object{{"ok", true}, {"unit", child->describe()}};
  }

  SupervisorOptions options_;
  std::vector<std::unique_ptr<Child>> children_;
  int signals_ = -1, listener_ = -1;
  bool stopping_ = false;
};

}  // namespace

Result<void> run_supervisor(SupervisorOptions options) {
  Supervisor supervisor(std::move(options));
  LAB_CHECK(supervisor.open());
  supervisor.run();
  return {};
}

Result<json::Value> ask_supervisor(const json::Value& request, const std::string& socket_path) {
  LAB_TRY(auto address, address_of(socket_path));
  int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    int err = errno;
    ::close(fd);
    return std::unexpected(Error{.code = Code::kUnavailable,
                                 .message = "no supervisor answers on " + socket_path,
                                 .hint = "start it: lab supervise",
                                 .sys_errno = err});
  }
  timeval limit{.tv_sec = 15, .tv_usec = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::string line = json::dump(request) + "\n", answer;
  bool sent = ::send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
  char chunk[4096];
  ssize_t n = 0;
  while (sent && (n = ::read(fd, chunk, sizeof chunk)) > 0) answer.append(chunk, static_cast<std::size_t>(n));
  ::close(fd);
  if (answer.empty()) return fail(Code::kUnavailable, "the supervisor on " + socket_path + " gave no answer");
  LAB_TRY(auto value, json::parse(answer));
  if (json::has(value, "error")) return fail(Code::kInternal, "supervisor: " + std::string(json::str(value, "error")));
  return value;
}

}  // namespace lab::bootstrap
