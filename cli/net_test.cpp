// lab net test: from a pod on each node to a pod on each other node, to the cluster's name server and to a service.
#include <cstdio>
#include <thread>

#include "bootstrap/local/lab.h"
#include "cli/groups.h"
#include "cli/net_probe.h"
#include "cli/net_trace.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

struct NodeUnderTest {
  std::string name, pod_address, node_address;
  std::string problem;  // why it has no pod to test with
  json::Value found;    // what probe_run() says
};

std::string time_of(const json::Value& v) {
  char out[32];
  std::snprintf(out, sizeof out, "%.1fms", static_cast<double>(json::num(v, "microseconds")) / 1000);
  return out;
}

Result<json::Value> ask(bootstrap::NodeDriver& driver, const std::string& node, std::vector<std::string> words) {
  words.insert(words.begin(), {"lab", "net-probe"});
  LAB_TRY(auto done, driver.exec(node, {.argv = std::move(words), .timeout_seconds = 120}));
  if (done.exit_code == 0) return json::parse(done.out.empty() ? "{}" : done.out);
  auto why = done.err.starts_with("error: ") ? done.err.substr(7) : done.err;
  while (why.ends_with('\n')) why.pop_back();
  return fail(Code::kUnavailable, why);
}

// The same for all nodes at once.
void on_all(std::vector<NodeUnderTest>& nodes, const std::function<void(NodeUnderTest&)>& f) {
  std::vector<std::thread> threads;
  for (auto& n : nodes) threads.emplace_back([&] { f(n); });
  for (auto& t : threads) t.join();
}

void row(int& failures, const std::string& from, const std::string& to, const json::Value& v, const std::string& size) {
  std::string reason(json::str(v, "reason"));
  failures += !reason.empty();
  std::printf("%-10s %-12s %-8s %-9s %s\n", from.c_str(), to.c_str(),
              json::has(v, "microseconds") ? time_of(v).c_str() : "FAILED",
              json::has(v, "fullMTU") ? json::flag(v, "fullMTU") ? size.c_str() : "FAILED" : "-",
              reason.empty() ? "ok" : reason.c_str());
}

Result<int> test(const Invocation& in) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  std::vector<NodeUnderTest> nodes;
  for (const auto& n : profile.nodes) nodes.push_back({.name = n.name});
  std::string mtu = "-";
  on_all(nodes, [&](NodeUnderTest& n) {
    auto up = ask(*driver, n.name, {"up"});
    if (!up) {
      n.problem = up.error().text();
      return;
    }
    n.pod_address = json::str(*up, "address");
    n.node_address = json::str(*up, "nodeAddress");
    n.found = *up;
  });
  for (const auto& n : nodes) {
    if (auto m = json::num(n.found, "mtu")) mtu = std::to_string(m);
  }
  on_all(nodes, [&](NodeUnderTest& n) {
    if (!n.problem.empty()) return;
    std::vector<std::string> words{"run"};
    for (const auto& to : nodes) {
      if (to.name != n.name && to.problem.empty())
        words.push_back(to.name + "=" + to.pod_address + "=" + to.node_address);
    }
    auto found = ask(*driver, n.name, std::move(words));
    if (found) n.found = std::move(*found);
    if (!found) n.problem = found.error().text();
  });
  on_all(nodes, [&](NodeUnderTest& n) { (void)ask(*driver, n.name, {"down"}); });
  int failures = 0;
  std::printf("%-10s %-12s %-8s %-9s %s\n", "FROM", "TO", "TIME", "FULL MTU", "RESULT");
  for (const auto& n : nodes) {
    if (!n.problem.empty()) {
      row(failures, n.name, "(all)", json::Object{{"reason", n.problem}}, mtu);
      continue;
    }
    for (const auto& to : nodes) {
      if (!to.problem.empty() && to.name != n.name)
        row(failures, n.name, to.name, json::Object{{"reason", "there is no pod to reach: " + to.problem}}, mtu);
    }
    for (const auto& pod : json::list(n.found, "pods"))
      row(failures, n.name, std::string(json::str(pod, "node")), pod, mtu);
    row(failures, n.name, "dns", json::at(n.found, "dns"), mtu);
    row(failures, n.name, "service", json::at(n.found, "service"), mtu);
  }
  if (failures) std::printf("%d of these failed\n", failures);
  return failures ? kFailed : kDone;
}

int run_test(const Invocation& in) {
  auto code = test(in);
  return code ? *code : report(code.error());
}

Result<json::Value> probe(const Invocation& in) {
  auto what = in.argument(0);
  if (what == "up") return probe_up();
  if (what == "down") {
    LAB_CHECK(probe_down());
    return json::Value(json::Object{});
  }
  if (what == "hops") return probe_hops(in.argument(1));
  std::vector<ProbeTarget> targets;
  for (std::size_t i = 1; i < in.arguments().size(); ++i) {
    const auto& word = in.arguments()[i];
    auto one = word.find('='), two = word.rfind('=');
    if (one == two) return fail(Code::kBadRequest, "\"" + word + "\" is not NODE=POD=ADDRESS");
    targets.push_back({word.substr(0, one), word.substr(one + 1, two - one - 1), word.substr(two + 1)});
  }
  return probe_run(targets);
}

int run_probe(const Invocation& in) {
  auto found = probe(in);
  if (!found) return report(found.error());
  std::printf("%s\n", json::dump(*found).c_str());
  return kDone;
}

}  // namespace

Commands net_test_commands() {
  return {
      {.path = "net test",
       .summary = "Try the pod network between all pairs of nodes",
       .details = "Makes a pod's network on each node, as the runtime would, and tries from each of them: the "
                  "others with a small packet and "
                  "with one of full size, the cluster's name server, and a service. What fails comes with the "
                  "reason, as far as it can be "
                  "told. Exit code 0 when all of it works, 1 when not. Nothing stays behind.",
       .options = {{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"}},
       .run = run_test},
      {.path = "net trace",
       .summary = "Tell the way of a packet from one pod to another",
       .details =
           "Step by step, with what the kernels of the two nodes hold at this moment: devices, routes, neighbours and "
           "forwarding entries. A pod is NAME or NAMESPACE/NAME. Exit code 1 when a step is missing.\n\n"
           "As in: lab net trace web-1 prod/db-0",
       .arguments = {{"POD", "where the packet comes from"}, {"POD2", "where it goes"}},
       .options = {{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"},
                   {.name = "namespace",
                    .value = "NAME",
                    .help = "Of pods named without one",
                    .fallback = "default",
                    .letter = "n"}},
       .run = run_trace},
      {.path = "net-probe",
       .summary = "The part of lab net test that runs on a node",
       .arguments = {{"WHAT", "up, run, down or hops"}, {"TARGET", "NODE=POD=ADDRESS", false, true}},
       .run = run_probe,
       .hidden = true}};
}

}  // namespace lab::cli
