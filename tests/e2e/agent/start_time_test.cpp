// How long a pod takes from its creation at the API server to Running, beside what the same runtime takes when it is
// told directly, in the same run. The ratio is the claim; the times are printed for people.
#include <algorithm>
#include <cstdio>

#include "control_plane.h"
#include "orchestrator/agent/cri.h"

namespace lab::agent::test {
namespace {

namespace res = client::res;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

class StartTime : public ClusterTest {};

double ms_since(Clock::time_point t) {
  return std::chrono::duration<double, std::milli>(Clock::now() - t).count();
}
double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v[v.size() / 2];
}

Task<double> through_cri(cri::CriClient* cri, int i) {
  auto begun = Clock::now();
  cri::SandboxConfig s;
  s.metadata = {"direct" + std::to_string(i), "direct-uid" + std::to_string(i), "default", 0};
  s.cgroup_parent = Machine::get().cgroup_root() + "/direct";
  s.log_directory = Machine::get().dir() + "/direct-logs";
  s.dns = cri::DnsConfig{.servers = {"192.0.2.1"}};
  s.security.seccomp.type = cri::SecurityProfile::kRuntimeDefault;
  auto sandbox = co_await cri->run_sandbox(s);
  EXPECT_TRUE(sandbox) << (sandbox ? "" : sandbox.error().text());
  if (!sandbox) co_return 0;
  cri::ContainerConfig c;
  c.name = "main";
  c.image = "localhost/busybox:1";
  c.command = {"sleep", "1000"};
  c.log_path = "main.log";
  auto container = co_await cri->create_container(*sandbox, c, s);
  EXPECT_TRUE(container) << (container ? "" : container.error().text());
  if (!container) co_return 0;
  EXPECT_TRUE(co_await cri->start_container(*container));
  double took = ms_since(begun);
  EXPECT_TRUE(co_await cri->stop_sandbox(*sandbox));
  EXPECT_TRUE(co_await cri->remove_sandbox(*sandbox));
  co_return took;
}

// With the service account's token volume, which the server adds, and a watch as the witness.
Task<double> through_api(client::Client* api, std::string name) {
  json::Value pod{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", name}}}};
  json::set(pod, "n1", "spec", "nodeName");
  json::set(pod, 1, "spec", "terminationGracePeriodSeconds");
  json::set(pod,
            json::Array{json::Value{
                {"name", "main"}, {"image", "localhost/busybox:1"}, {"command", json::Array{"sleep", "1000"}}}},
            "spec", "containers");
  auto begun = Clock::now();
  auto made = co_await api->create(res::pods, "default", pod);
  EXPECT_TRUE(made) << (made ? "" : made.error().text());
  if (!made) co_return 0;
  client::ListOptions from;
  from.field_selector = "metadata.name=" + name;
  from.resource_version = std::string(json::str(*made, "metadata", "resourceVersion"));
  auto watch = co_await api->watch(res::pods, "default", from);
  EXPECT_TRUE(watch);
  while (watch) {
    auto event = co_await (*watch)->next();
    if (!event || !*event) break;
    if (json::str((*event)->object, "status", "phase") == "Running") {
      double took = ms_since(begun);
      (*watch)->close();
      co_return took;
    }
  }
  ADD_FAILURE() << "the watch ended before the pod ran";
  co_return 0;
}

TEST_F(StartTime, NearTheRuntimesOwn) {
  LoopThread thread("bench");
  Scope scope(thread.loop());
  std::promise<std::pair<std::vector<double>, std::vector<double>>> result;
  scope.spawn("bench", [&]() -> Task<void> {
    cri::CriClient cri(Machine::get().socket());
    auto api = cluster().client_as("admin", {"system:masters", "system:authenticated"}, thread.loop());
    std::vector<double> direct, whole;
    for (int i = 0; i < 11; ++i) {  // turn by turn, so that both meet the same noise
      direct.push_back(co_await through_cri(&cri, i));
      std::string name = "timed" + std::to_string(i);
      whole.push_back(co_await through_api(api.get(), name));
      client::DeleteOptions soon;
      soon.grace_seconds = 0;
      (void)co_await api->remove(res::pods, "default", name, soon);
      co_await sleep_for(300ms);
    }
    api.reset();
    result.set_value({direct, whole});
  });
  auto [direct, whole] = result.get_future().get();
  std::promise<void> closed;
  Scope closer(thread.loop());
  closer.spawn("close", [&]() -> Task<void> {
    co_await scope.close();
    closed.set_value();
  });
  closed.get_future().get();
  double ratio = median(whole) / median(direct);
  std::printf("pod start, median of %zu: runtime alone %.0f ms, POST to Running %.0f ms, ratio %.2f\n", direct.size(),
              median(direct), median(whole), ratio);
  EXPECT_LT(ratio, 1.5);
}

}  // namespace
}  // namespace lab::agent::test
