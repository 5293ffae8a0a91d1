// The scheduler as a client of the real API server (over the embedded store, in this process), with the rights that the
// bootstrap policy gives it. Nodes are objects only: nothing runs on them.
#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <functional>
#include <set>

#include "base/io/scope.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/scheduler/scheduler.h"

namespace lab::scheduler {
namespace {

using namespace std::chrono_literals;
namespace res = client::res;

json::Value parse(std::string_view text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value) << (value ? "" : value.error().text()) << "\n" << text;
  return value ? std::move(*value) : json::Value();
}

// Store, API server, an administrator's client, and a running scheduler, on this thread's loop.
class Cluster {
 public:
  explicit Cluster(Loop& loop) : scope(loop), loop_(loop) {
    auto pattern = (std::filesystem::temp_directory_path() / "lab-scheduler-XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    auto opened = store::open_embedded({.path = directory_ + "/store.db"});
    EXPECT_TRUE(opened) << opened.error().text();
    store_ = std::move(*opened);
    auto started = apiserver::ApiServer::start({.threads = 1, .store = store_.get()});
    EXPECT_TRUE(started) << started.error().text();
    server_ = std::move(*started);
    auto ready = server_->wait_ready(60s);
    EXPECT_TRUE(ready) << ready.error().text();
    admin = client_as("admin", {"system:masters", "system:authenticated"});
    own = client_as("system:kube-scheduler", {"system:authenticated"});
    scheduler = std::make_unique<Scheduler>(*own, loop);
  }
  ~Cluster() {
    scheduler.reset();
    own.reset();
    admin.reset();
    server_.reset();
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  void start() { scope.spawn("scheduler", scheduler->run(scope.token())); }

  Task<void> make(client::Resource r, std::string ns, std::string text) {
    auto object = parse(text);
    auto made = co_await admin->create(r, ns, object);
    EXPECT_TRUE(made) << made.error().text() << "\n" << text;
    if (!made || !json::has(object, "status")) co_return;
    json::set(*made, json::at(object, "status"), "status");
    auto updated = co_await admin->update_status(r, ns, std::move(*made));
    EXPECT_TRUE(updated) << updated.error().text();
  }
  // A node that is ready: new ones are tainted until a controller, which is not here, sees them ready.
  Task<void> node(std::string name, std::string cpu = "4", std::string spec = "{}") {
    co_await make(res::nodes, "",
                  R"({"apiVersion": "v1", "kind": "Node", "metadata": {"name": ")" + name +
                      R"(", "labels": {"kubernetes.io/hostname": ")" + name + R"("}}, "spec": )" + spec +
                      R"(, "status": {"allocatable": {"cpu": ")" + cpu +
                      R"(", "memory": "8Gi", "pods": "110"}, "capacity": {"cpu": ")" + cpu +
                      R"(", "memory": "8Gi", "pods": "110"}}})");
    json::Value body;
    json::set(body, json::at(parse(spec), "taints"), "spec", "taints");
    auto done = co_await admin->patch(res::nodes, "", name, client::PatchType::kMerge, std::move(body));
    EXPECT_TRUE(done) << done.error().text();
  }
  static std::string pod_text(const std::string& name, const std::string& cpu, const std::string& spec = "") {
    return R"({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": ")" + name +
           R"(", "namespace": "default", "labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i",
             "resources": {"requests": {"cpu": ")" +
           cpu + R"("}}}])" + (spec.empty() ? "" : ", ") + spec + "}}";
  }
  Task<void> pod(std::string name, std::string cpu = "100m", std::string spec = "") {
    co_await make(res::pods, "default", pod_text(name, cpu, spec));
  }
  Task<json::Value> get_pod(std::string name) {
    auto got = co_await admin->get(res::pods, "default", name);
    co_return got ? std::move(*got) : json::Value();
  }
  Task<std::string> node_of(std::string name) {
    auto pod = co_await get_pod(name);
    co_return std::string(json::str(pod, "spec", "nodeName"));
  }
  // Polls until the pod is as wanted; false after a minute.
  Task<bool> until(std::string name, std::function<bool(const json::Value&)> wanted) {
    for (int i = 0; i < 1200; ++i) {
      auto pod = co_await get_pod(name);
      if (wanted(pod)) co_return true;
      co_await sleep_for(50ms);
    }
    auto pod = co_await get_pod(name);
    ADD_FAILURE() << name << " is still " << json::dump(pod);
    co_return false;
  }
  Task<bool> until_placed(std::string name) {
    co_return co_await until(name, [](const json::Value& p) { return !json::str(p, "spec", "nodeName").empty(); });
  }
  Task<bool> until_refused(std::string name) {
    co_return co_await until(name, [](const json::Value& p) { return !refusal(p).empty(); });
  }
  static std::string refusal(const json::Value& pod) {
    for (const auto& c : json::list(pod, "status", "conditions"))
      if (json::str(c, "type") == "PodScheduled" && json::str(c, "status") == "False")
        return std::string(json::str(c, "reason")) + ": " + std::string(json::str(c, "message"));
    return {};
  }
  // The message of an event with this reason about this object; waits for it.
  Task<std::string> event(std::string about, std::string reason) {
    for (int i = 0; i < 600; ++i) {
      auto list = co_await admin->list(res::events, "default");
      if (list)
        for (const auto& e : json::list(*list, "items"))
          if (json::str(e, "reason") == reason && json::str(e, "involvedObject", "name") == about)
            co_return std::string(json::str(e, "message"));
      co_await sleep_for(50ms);
    }
    co_return "no such event";
  }

  Scope scope;
  std::unique_ptr<client::Client> admin, own;
  std::unique_ptr<Scheduler> scheduler;

 private:
  std::unique_ptr<client::Client> client_as(const std::string& user, std::vector<std::string> groups) {
    return std::make_unique<client::Client>(
        server_->in_process({.username = user, .groups = std::move(groups)}, loop_));
  }
  Loop& loop_;
  std::string directory_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<apiserver::ApiServer> server_;
};

Task<void> in_cluster(std::function<Task<void>(Cluster&)> test) {
  Cluster cluster(*Loop::current());
  if (!::testing::Test::HasFailure()) {
    // Pods of the namespace run as its default service account, which a controller would make.
    (void)co_await cluster.admin->create(
        res::serviceaccounts, "default",
        parse(R"({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})"));
    cluster.start();
    co_await test(cluster);
  }
  co_await cluster.scope.close();
}
void run(std::function<Task<void>(Cluster&)> test) {
  run_task(in_cluster(std::move(test)));
}

Task<void> places_pods(Cluster& c) {
  co_await c.node("n1");
  co_await c.node("n2");
  co_await c.pod("a", "3");
  co_await c.pod("b", "3");
  co_await c.until_placed("a");
  co_await c.until_placed("b");
  auto on_a = co_await c.node_of("a"), on_b = co_await c.node_of("b");
  EXPECT_NE(on_a, on_b);
  auto pod = co_await c.get_pod("a");
  bool scheduled = false;
  for (const auto& condition : json::list(pod, "status", "conditions"))
    scheduled |= json::str(condition, "type") == "PodScheduled" && json::str(condition, "status") == "True";
  EXPECT_TRUE(scheduled) << json::dump(pod);
  auto message = co_await c.event("a", "Scheduled");
  EXPECT_EQ(message, "Successfully assigned default/a to " + on_a);
}
TEST(SchedulerLive, PlacesPodsAndTellsOfIt) {
  run(places_pods);
}

Task<void> tells_why(Cluster& c) {
  co_await c.node("cp", "4",
                  R"({"taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]})");
  co_await c.node("n1");
  co_await c.pod("big", "64");
  co_await c.until_refused("big");
  std::string expected =
      "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint "
      "{node-role.kubernetes.io/control-plane: }. preemption: 0/2 nodes are available: "
      "2 Preemption is not helpful for scheduling.";
  auto pod = co_await c.get_pod("big");
  EXPECT_EQ(Cluster::refusal(pod), "Unschedulable: " + expected);
  auto message = co_await c.event("big", "FailedScheduling");
  EXPECT_EQ(message, expected);
  // A node that suits arrives: the pod is placed without anyone touching it.
  co_await c.node("n2", "128");
  co_await c.until_placed("big");
  auto node = co_await c.node_of("big");
  EXPECT_EQ(node, "n2");
}
TEST(SchedulerLive, TellsWhyNotAndTriesAgainWhenItMayHelp) {
  run(tells_why);
}

Task<void> uncordon(Cluster& c) {
  co_await c.node("n1", "4", R"({"unschedulable": true})");
  co_await c.pod("a");
  co_await c.until_refused("a");
  auto done = co_await c.admin->patch(res::nodes, "", "n1", client::PatchType::kMerge,
                                      parse(R"({"spec": {"unschedulable": null}})"));
  EXPECT_TRUE(done);
  co_await c.until_placed("a");
}
TEST(SchedulerLive, AnUncordonedNodeIsUsed) {
  run(uncordon);
}

Task<void> room_after_delete(Cluster& c) {
  co_await c.node("n1");
  co_await c.pod("first", "3");
  co_await c.until_placed("first");
  co_await c.pod("second", "3");
  co_await c.until_refused("second");
  auto done = co_await c.admin->remove(res::pods, "default", "first", {.grace_seconds = 0});
  EXPECT_TRUE(done);
  co_await c.until_placed("second");
}
TEST(SchedulerLive, RoomThatIsFreedIsUsed) {
  run(room_after_delete);
}

Task<void> preempts(Cluster& c) {
  co_await c.node("n1");
  co_await c.make(client::Resource{"scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false}, "",
                  R"({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "vip"},
                      "value": 1000})");
  co_await c.pod("small", "1");
  co_await c.pod("victim", "2500m");
  co_await c.until_placed("small");
  co_await c.until_placed("victim");
  co_await c.pod("vip", "3", R"("priorityClassName": "vip")");
  co_await c.until("vip", [](const json::Value& p) { return json::str(p, "status", "nominatedNodeName") == "n1"; });
  auto message = co_await c.event("victim", "Preempted");
  EXPECT_NE(message.find("on node n1"), std::string::npos) << message;
  // Nothing runs on the node, so the test does what its agent would: it confirms that the victim has stopped.
  co_await c.until("victim",
                   [](const json::Value& p) { return p.is_null() || json::has(p, "metadata", "deletionTimestamp"); });
  auto small = co_await c.get_pod("small");
  EXPECT_FALSE(json::has(small, "metadata", "deletionTimestamp")) << "it could stay";
  auto victim = co_await c.get_pod("victim");
  bool told = false;
  for (const auto& condition : json::list(victim, "status", "conditions"))
    told |= json::str(condition, "reason") == "PreemptionByScheduler";
  EXPECT_TRUE(told || victim.is_null());
  (void)co_await c.admin->remove(res::pods, "default", "victim", {.grace_seconds = 0});
  co_await c.until_placed("vip");
}
TEST(SchedulerLive, PreemptsLessImportantPods) {
  run(preempts);
}

Task<void> other_scheduler(Cluster& c) {
  co_await c.node("n1");
  co_await c.pod("theirs", "100m", R"("schedulerName": "another")");
  co_await c.pod("gated", "100m", R"("schedulingGates": [{"name": "example.com/wait"}])");
  co_await c.pod("ours");
  co_await c.until_placed("ours");
  co_await sleep_for(200ms);
  auto theirs = co_await c.node_of("theirs"), gated = co_await c.node_of("gated");
  EXPECT_EQ(theirs, "");
  EXPECT_EQ(gated, "");
  auto done = co_await c.admin->patch(res::pods, "default", "gated", client::PatchType::kMerge,
                                      parse(R"({"spec": {"schedulingGates": null}})"));
  EXPECT_TRUE(done) << done.error().text();
  co_await c.until_placed("gated");
}
TEST(SchedulerLive, LeavesPodsOfOthersAndGatedOnesAlone) {
  run(other_scheduler);
}

Task<void> restarted(Cluster& c) {
  co_await c.node("n1");
  co_await c.pod("a", "3");
  co_await c.until_placed("a");
  co_await c.scope.close();  // the first scheduler is gone
  Scope scope(*Loop::current());
  Scheduler second(*c.own, *Loop::current());
  co_await c.pod("b", "3");
  scope.spawn("scheduler", second.run(scope.token()));
  co_await c.until_refused("b");
  auto node = co_await c.node_of("b");
  EXPECT_EQ(node, "") << "what the first one placed is known to the second";
  co_await scope.close();
}
TEST(SchedulerLive, ASecondOneContinuesWhereTheFirstStopped) {
  run(restarted);
}

Task<void> many(Cluster& c) {
  constexpr int kNodes = 20, kPods = 300;
  for (int i = 0; i < kNodes; ++i) co_await c.node("n" + std::to_string(i), "16");
  for (int i = 0; i < kPods; ++i) co_await c.pod("p" + std::to_string(i), "500m");
  std::map<std::string, int> per_node;
  for (int i = 0; i < kPods; ++i) {
    std::string name = "p" + std::to_string(i);
    if (!co_await c.until_placed(name)) co_return;
    auto node = co_await c.node_of(name);
    ++per_node[node];
  }
  EXPECT_EQ(per_node.size(), std::size_t{kNodes});
  for (const auto& [node, n] : per_node) EXPECT_LE(n, 32) << node << " has 16 CPUs for half a CPU each";
  // A binding is seen by everybody before the scheduler has its answer, and counts it.
  for (int i = 0; i < 1200 && c.scheduler->stats().scheduled < kPods; ++i) co_await sleep_for(50ms);
  EXPECT_EQ(c.scheduler->stats().scheduled, std::uint64_t{kPods});
  EXPECT_EQ(c.scheduler->stats().errors, 0u);
}
TEST(SchedulerLive, ManyPodsOnManyNodes) {
  run(many);
}

}  // namespace
}  // namespace lab::scheduler
