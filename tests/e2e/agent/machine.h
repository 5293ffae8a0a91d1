// A machine of its own for these tests: namespaces (mount, pid, net, ipc, uts) that end with the process, a containerd
// with its own directories, a bridge network, and images made of busybox. Everything it leaves is removed by the
// parent.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>

#include "base/io/loop.h"
#include "base/io/scope.h"
#include "base/subprocess.h"
#include "orchestrator/agent/agent.h"

namespace lab::agent::test {

class Machine {
 public:
  static Machine& get();  // made at first use
  const std::string& dir() const { return dir_; }
  std::string socket() const { return dir_ + "/containerd.sock"; }
  std::string cgroup_root() const { return cgroup_root_; }
  void start_containerd();
  void kill_containerd();                          // SIGKILL; pods go on
  std::string ctr(std::vector<std::string> args);  // output; fails the test on error
  // Options of an agent with its own directories below dir()/NAME.
  AgentOptions options(const std::string& name);

  static void set_up_namespaces(const std::string& dir, const std::string& cgroup_root);  // in the child, once

 private:
  Machine();
  void make_images();
  std::string dir_, cgroup_root_;
  pid_t containerd_ = 0;
};

// An agent on a loop thread of its own; the destructor stops it (its pods go on).
class RunningAgent {
 public:
  explicit RunningAgent(AgentOptions options, std::function<std::unique_ptr<client::Client>()> make_client = {});
  ~RunningAgent();
  Agent& agent() { return *agent_; }
  Loop& loop() { return thread_.loop(); }
  // Runs f on the agent's loop and gives its result.
  template <class F>
  auto on_loop(F f) {
    using R = decltype(f());
    std::promise<R> p;
    loop().post([&] { p.set_value(f()); });
    return p.get_future().get();
  }
  // A coroutine of the caller, run on the agent's loop to its end.
  template <class T>
  T run(Task<T> task) {
    std::promise<T> p;
    auto wrap = [](Task<T> t, std::promise<T>* out) -> Task<void> { out->set_value(co_await std::move(t)); };
    scope_->spawn("test", wrap(std::move(task), &p));
    return p.get_future().get();
  }
  json::Value pod(const std::string& ns, const std::string& name);  // with status; null when unknown
  client::Client* client() { return client_.get(); }

 private:
  LoopThread thread_{"agent"};
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<Agent> agent_;
  std::unique_ptr<Scope> scope_;
};

// Waits until f() is true, at most 60 s (or `limit`). False when it never was.
bool eventually(const std::function<bool()>& f, std::chrono::seconds limit = std::chrono::seconds(60));

void write_text(const std::string& path, const std::string& text);
std::string read_text(const std::string& path);

}  // namespace lab::agent::test
