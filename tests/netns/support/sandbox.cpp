#include "tests/netns/support/sandbox.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "base/fs.h"
#include "base/netlink/sysctl.h"

namespace lab::test {

void set_up_failed(const Error& error) {
  throw std::runtime_error(error.text());
}
void must(Result<void> r) {
  if (!r) set_up_failed(r.error());
}

Sandbox::Sandbox() {
  static std::atomic<int> count = 0;
  directory_ = "/run/lab-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
  must(fs::make_dirs(directory_));
}

Sandbox::~Sandbox() {
  while (!children_.empty()) stop(children_.back());
  for (const auto& [name, ns] : spaces_) (void)NetNs::remove(path(name));
  (void)fs::remove_all(directory_);
}

std::string Sandbox::path(const std::string& name) const {
  return directory_ + "/" + name;
}

const NetNs& Sandbox::add(const std::string& name) {
  auto ns = must(NetNs::create(path(name)));
  auto netlink = must(Netlink::open_in(ns));
  must(netlink.change_link(1, {.up = true}));
  // Link-local addresses would come by themselves at a time of their own, in the middle of a comparison.
  if (std::string mode = "net/ipv6/conf/default/addr_gen_mode"; has_sysctl(mode)) {
    must(in_netns(ns, [&] { return set_sysctl(mode, "1"); }));
  }
  return spaces_.emplace(name, std::move(ns)).first->second;
}

void Sandbox::remove(const std::string& name) {
  spaces_.erase(name);
  must(NetNs::remove(path(name)));
}

void Sandbox::plug(const std::string& name, const std::string& device, const std::string& address,
                   const std::string& hub, const std::string& bridge) {
  auto outer = must(Netlink::open_in(ns(hub)));
  auto port = must(outer.link(bridge));
  must(outer.create_veth({.here = {.name = ("p-" + name).substr(0, kMaxLinkName), .master = port.index, .up = true},
                          .peer = {.name = device},
                          .peer_ns = ns(name)}));
  auto inner = must(Netlink::open_in(ns(name)));
  int index = must(inner.link(device)).index;
  must(inner.change_link(index, {.up = true}));
  must(inner.replace_address({index, *Cidr::parse(address)}));
  must(inner.wait_running(index));
  must(outer.wait_running(must(outer.link(("p-" + name).substr(0, kMaxLinkName))).index));
}

Finished Sandbox::run(const std::string& name, std::vector<std::string> argv, int seconds) {
  argv.insert(argv.begin(), {"nsenter", "--net=" + path(name), "--"});
  return must(lab::run({.argv = std::move(argv), .timeout = std::chrono::seconds(seconds), .merge_stderr = true}));
}

Finished Sandbox::sh(const std::string& name, const std::string& line, int seconds) {
  return run(name, {"sh", "-c", line}, seconds);
}

pid_t Sandbox::background(const std::string& name, std::vector<std::string> argv) {
  std::string net = "--net=" + path(name);
  std::vector<char*> args{const_cast<char*>("nsenter"), net.data(), const_cast<char*>("--")};
  for (auto& a : argv) args.push_back(a.data());
  args.push_back(nullptr);
  pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = ::open("/dev/null", O_RDWR);
    for (int fd : {0, 1, 2}) ::dup2(null, fd);
    ::execvp(args[0], args.data());
    ::_exit(127);
  }
  if (pid < 0) throw std::runtime_error("cannot fork");
  children_.push_back(pid);
  return pid;
}

void Sandbox::stop(pid_t pid) {
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  std::erase(children_, pid);
}

std::vector<std::string> Sandbox::describe(const std::string& name) {
  auto netlink = must(Netlink::open_in(ns(name)));
  return must(describe_network(netlink));
}

bool eventually(const std::function<bool()>& condition, int seconds) {
  auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace lab::test
