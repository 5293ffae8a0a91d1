// Throughput and round trip between two pods on two nodes over each of our paths, beside a VXLAN made by hand with `ip`
// in the same run, as a table of ratios; and what wiring one pod takes. Needs root.
//
// Usage: overlay_bench [ROUNDS] [SECONDS] [WAYS] [LINE...]   WAYS: letters of the ways that are wanted beside the
// hand-made one, "all" by default. SECONDS 0: round trips alone, which a busy machine leaves comparable longer. Each
// LINE makes one more: the kernel path after that shell line ran on both nodes, for trying out what costs how much.
// On a busy machine throughput says little; what a path costs in processor time, beside the hand-made one, is what its
// throughput would be where the processors are what is short.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/json.h"
#include "overlay-net/agent/core.h"
#include "overlay-net/cni/wiring.h"
#include "overlay-net/sleeve/sleeve.h"
#include "tests/netns/support/probe.h"
#include "tests/netns/support/sandbox.h"

namespace lab::overlay {
namespace {

using test::must;

void shell(test::Sandbox& box, const std::string& name, const std::string& line) {
  auto out = box.sh(name, "set -e; " + line);
  if (!out.ok()) throw std::runtime_error(line + ": " + out.out);
}

Cidr range(int node) {
  return *Cidr::parse("10.244." + std::to_string(node) + ".0/24");
}
IpAddress underlay(int node) {
  return *IpAddress::parse("192.168.77." + std::to_string(node));
}

void plug_nodes(test::Sandbox& box, const std::string& prefix, int nodes = 2) {
  box.add(prefix + "wire");
  must(must(Netlink::open_in(box.ns(prefix + "wire"))).create_bridge({.name = "br0", .up = true}));
  for (int i = 1; i <= nodes; ++i) {
    auto name = prefix + std::to_string(i);
    box.add(name);
    box.plug(name, "eth0", underlay(i).text() + "/24", prefix + "wire", "br0");
  }
}

// Ours: the agent's core on each node, a pod on each wired as the plugin wires it.
void make_ours(test::Sandbox& box, const std::string& prefix, int nodes = 2) {
  plug_nodes(box, prefix, nodes);
  for (int i = 1; i <= nodes; ++i) {
    auto name = prefix + std::to_string(i), pod = prefix + "p" + std::to_string(i);
    box.add(pod);
    must(in_netns(box.ns(name), [&]() -> Result<void> {
      AgentCore core({.node_name = name,
                      .underlay = underlay(i),
                      .state_dir = box.directory() + "/" + name + ".d",
                      .cni_dir = box.directory() + "/" + name + ".d"});
      core.set_pod_cidr(range(i));
      std::vector<Peer> peers;
      for (int k = 1; k <= nodes; ++k) {
        auto other = prefix + std::to_string(k);
        if (k != i) peers.push_back({other, underlay(k), range(k), AgentCore::vtep_mac_of(other)});
      }
      core.set_peers(std::move(peers));
      LAB_CHECK(core.reconcile());
      LAB_TRY(auto network, core.add_pod({.container_id = pod, .ifname = "eth0"}));
      LAB_CHECK(wire_pod({pod, "eth0", box.path(pod)}, network));
      core.lead_new_pods();
      return {};
    }));
  }
}

// The same nodes with their routes through the sleeve; with `hop`, 1 and 2 reach each other through 3.
using Sleeves = std::vector<std::unique_ptr<Sleeve>>;
PeerName id(int i) {
  return {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(i)}};
}
Sleeves make_sleeved(test::Sandbox& box, const std::string& prefix, const std::string& password, bool hop = false) {
  const int nodes = hop ? 3 : 2;
  std::shared_ptr<const Authenticator> authenticator;
  if (!password.empty()) authenticator = authenticate_by_password(password);
  make_ours(box, prefix, nodes);
  Sleeves out;
  for (int i = 1; i <= nodes; ++i) {
    const auto& ns = box.ns(prefix + std::to_string(i));
    out.push_back(must(in_netns(
        ns, [&] { return Sleeve::start({.self = id(i), .underlay = underlay(i), .authenticator = authenticator}); })));
    auto netlink = must(Netlink::open_in(ns));
    auto tun = must(netlink.link(kSleeveDevice)).index;
    must(netlink.change_link(tun, {.up = true, .mtu = 1450}));
    std::vector<SleevePeer> peers;
    for (int k = 1; k <= nodes; ++k) {
      if (k == i) continue;
      peers.push_back({id(k), std::to_string(k), underlay(k), {range(k)}});
      must(netlink.replace_route(
          {.destination = range(k), .gateway = vtep_address(range(k)), .link = tun, .onlink = true}));
    }
    must(in_netns(ns, []() -> Result<void> {
      LAB_TRY(auto flows, FlowCache::open());
      return flows.attach({kSleeveDevice}, "lab0");
    }));
    out.back()->set_peers(std::move(peers));
    if (hop && i < 3) out.back()->set_next_hops({{id(3 - i), id(3)}});
  }
  return out;
}

// The same by hand, without any firewall table.
void make_by_hand(test::Sandbox& box) {
  plug_nodes(box, "h");
  for (int i : {1, 2}) {
    auto name = "h" + std::to_string(i), pod = "hp" + std::to_string(i), other = std::to_string(3 - i),
         self = std::to_string(i);
    box.add(pod);
    shell(box, name,
          "ip link add br1 type bridge; ip link set br1 mtu 1450 up; ip addr add 10.244." + self +
              ".1/24 dev br1;"
              "ip link add vx type vxlan id 1 dstport 6784 local 192.168.77." +
              self + " nolearning; ip link set vx mtu 1450 address 02:00:00:00:00:0" + self +
              " up;"
              "ip addr add 10.244." +
              self + ".0/32 dev vx; ip route add 10.244." + other + ".0/24 via 10.244." + other +
              ".0 dev vx onlink;"
              "ip neigh add 10.244." +
              other + ".0 lladdr 02:00:00:00:00:0" + other + " dev vx; bridge fdb append 02:00:00:00:00:0" + other +
              " dev vx dst 192.168.77." + other +
              ";"
              "echo 1 > /proc/sys/net/ipv4/ip_forward");
    box.plug(pod, "eth0", "10.244." + self + ".2/24", name, "br1");
    shell(box, name, "ip link set p-" + pod + " mtu 1450");
    shell(box, pod, "ip link set eth0 mtu 1450; ip route add default via 10.244." + self + ".1");
  }
}

double number(const json::Value& v) {
  return v.is_double() ? v.get_double() : double(json::as_int(v));
}

// Of this process, in seconds: of its sleeves, while nothing else runs in it.
double processor_time() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  return double(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + double(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct Stream {
  double gigabits = 0;  // per second
  double cost = 0;      // processor time, in ms per gigabit, of iperf3's two ends and the sleeves
};

Stream stream(test::Sandbox& box, const std::string& from, int seconds) {
  const double before = processor_time();
  auto out = box.run(from, {"iperf3", "-c", "10.244.2.2", "-t", std::to_string(seconds), "-J"}, seconds + 30);
  const double own = processor_time() - before;
  auto v = json::parse(out.out);
  if (!v || !json::has(*v, "end")) return {};
  const auto& end = json::at(*v, "end");
  const double rate = number(json::at(end, "sum_received", "bits_per_second")) / 1e9;
  const double took = number(json::at(end, "sum_received", "seconds"));
  const double busy = (number(json::at(end, "cpu_utilization_percent", "host_total")) +
                       number(json::at(end, "cpu_utilization_percent", "remote_total"))) /
                      100 * took;
  return rate > 0 && took > 0 ? Stream{rate, (busy + own) * 1000 / (rate * took)} : Stream{};
}

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v.empty() ? 0 : v[v.size() / 2];
}

double wiring_milliseconds(test::Sandbox& box) {
  box.add("w");
  std::vector<double> took;
  for (int i = 0; i < 50; ++i) {
    must(in_netns(box.ns("o1"), [&]() -> Result<void> {
      auto start = std::chrono::steady_clock::now();
      LAB_CHECK(wire_pod({"w", "eth0", box.path("w")},
                         {*Cidr::parse("10.244.1.99/24"), *IpAddress::parse("10.244.1.1"), "lab0", 1450}));
      took.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
      return unwire_pod({"w", "eth0", box.path("w")});
    }));
  }
  return median(took);
}

// A small question and its answer over one TCP connection between the pods, in microseconds: the median of many.
double round_trip(test::Sandbox& box, const std::string& prefix) {
  test::AnswerServer server(box.ns(prefix + "p2"), {.word = "x", .tcp = 9000});
  test::Connection c(box.ns(prefix + "p1"), "10.244.2.2:9000");
  c.line();
  std::vector<double> took;
  for (int i = 0; i < 1500; ++i) {
    auto start = std::chrono::steady_clock::now();
    c.say("question");
    if (c.line() != "question") return 0;
    took.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count());
  }
  return median(std::move(took));
}

struct Way {
  std::string prefix, what, target;
  std::vector<double> rates, costs, trips;
};

int bench(int rounds, int seconds, const std::string& wanted, const std::vector<std::string>& lines) {
  test::Sandbox box;
  std::vector<Way> ways{{"h", "kernel VXLAN made by hand", ""}};
  std::vector<Sleeves> sleeves;
  make_by_hand(box);
  for (const auto& way : std::vector<Way>{{"o", "kernel path", ">= 0.97"},
                                          {"s", "sleeve", ">= 0.7"},
                                          {"e", "sleeve, encrypted", ">= 0.5"},
                                          {"m", "sleeve, encrypted, over a third node", ""}}) {
    if (wanted != "all" && wanted.find(way.prefix) == std::string::npos) continue;
    ways.push_back(way);
    if (way.prefix == "o") {
      make_ours(box, "o");
    } else {
      sleeves.push_back(make_sleeved(box, way.prefix, way.prefix == "s" ? "" : "a password", way.prefix == "m"));
    }
  }
  for (const auto& line : lines) {
    ways.push_back({"x" + std::to_string(ways.size()), "kernel path; " + line, ""});
    make_ours(box, ways.back().prefix);
    for (const char* node : {"1", "2"}) shell(box, ways.back().prefix + node, line);
  }
  for (auto& way : ways) {
    box.background(way.prefix + "p2", {"iperf3", "-s"});
    if (!test::eventually([&] { return stream(box, way.prefix + "p1", 1).gigabits > 0; })) {
      std::fprintf(stderr, "%s: the other node is not reached\n", way.what.c_str());
      return 1;
    }
  }
  for (int i = 0; i < rounds; ++i) {
    for (auto& way : ways) {
      const auto s = seconds ? stream(box, way.prefix + "p1", seconds) : Stream{1, 1};
      way.rates.push_back(s.gigabits);
      way.costs.push_back(s.cost);
      way.trips.push_back(round_trip(box, way.prefix));
    }
  }
  // The ratio of each round's pair is what a busy machine leaves comparable; the median over rounds stands here.
  auto ratio = [&](std::vector<double> Way::* figure, const Way& way) {
    std::vector<double> r;
    for (int i = 0; i < rounds; ++i) r.push_back((way.*figure)[i] / (ways[0].*figure)[i]);
    return median(std::move(r));
  };
  std::printf("| path | Gbit/s | ratio | target | CPU, ms per Gbit | hand-made by it | round trip, us | ratio |\n");
  std::printf("|---|---|---|---|---|---|---|---|\n");
  for (const auto& way : ways) {
    std::printf("| %s | %.2f | %.2f | %s | %.1f | %.2f | %.1f | %.2f |\n", way.what.c_str(), median(way.rates),
                ratio(&Way::rates, way), way.target.c_str(), median(way.costs), 1 / ratio(&Way::costs, way),
                median(way.trips), ratio(&Way::trips, way));
  }
  if (wanted == "all") std::printf("wiring one pod: %.2f ms\n", wiring_milliseconds(box));
  return 0;
}

}  // namespace
}  // namespace lab::overlay

int main(int argc, char** argv) {
  try {
    return lab::overlay::bench(argc > 1 ? std::atoi(argv[1]) : 5, argc > 2 ? std::atoi(argv[2]) : 3,
                               argc > 3 ? argv[3] : "all", {argv + std::min(argc, 4), argv + argc});
  } catch (const std::exception& e) {  // caught, so that the sandbox is taken down
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
