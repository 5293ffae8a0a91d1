// Throughput between two pods on two nodes over our datapath, beside a VXLAN made by hand with `ip` in the same run;
// and what wiring one pod takes. Needs root. Usage: overlay_bench [ROUNDS] [SECONDS]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/json.h"
#include "overlay-net/agent/core.h"
#include "overlay-net/cni/wiring.h"
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

void plug_nodes(test::Sandbox& box, const std::string& prefix) {
  box.add(prefix + "wire");
  must(must(Netlink::open_in(box.ns(prefix + "wire"))).create_bridge({.name = "br0", .up = true}));
  for (int i : {1, 2}) {
    auto name = prefix + std::to_string(i);
    box.add(name);
    box.plug(name, "eth0", underlay(i).text() + "/24", prefix + "wire", "br0");
  }
}

// Ours: the agent's core on both nodes, pods wired as the plugin wires them.
void make_ours(test::Sandbox& box) {
  plug_nodes(box, "o");
  for (int i : {1, 2}) {
    auto name = "o" + std::to_string(i), pod = "op" + std::to_string(i);
    box.add(pod);
    must(in_netns(box.ns(name), [&]() -> Result<void> {
      AgentCore core({.node_name = name,
                      .underlay = underlay(i),
                      .state_dir = box.directory() + "/" + name + ".d",
                      .cni_dir = box.directory() + "/" + name + ".d"});
      core.set_pod_cidr(range(i));
      auto other = "o" + std::to_string(3 - i);
      core.set_peers({{other, underlay(3 - i), range(3 - i), AgentCore::vtep_mac_of(other)}});
      LAB_CHECK(core.reconcile());
      LAB_TRY(auto network, core.add_pod({.container_id = pod, .ifname = "eth0"}));
      LAB_CHECK(wire_pod({pod, "eth0", box.path(pod)}, network));
      return {};
    }));
  }
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

double gigabits(test::Sandbox& box, const std::string& from, int seconds) {
  auto out = box.run(from, {"iperf3", "-c", "10.244.2.2", "-t", std::to_string(seconds), "-J"}, seconds + 30);
  auto v = json::parse(out.out);
  const auto& rate = v ? json::at(*v, "end", "sum_received", "bits_per_second") : json::null_value();
  return rate.is_double() ? rate.get_double() / 1e9 : double(json::as_int(rate)) / 1e9;
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

int bench(int rounds, int seconds) {
  test::Sandbox box;
  make_ours(box);
  make_by_hand(box);
  for (const char* server : {"op2", "hp2"}) box.background(server, {"iperf3", "-s"});
  for (const char* client : {"op1", "hp1"}) {
    if (!test::eventually([&] { return gigabits(box, client, 1) > 0; })) {
      std::fprintf(stderr, "%s does not reach the other node\n", client);
      return 1;
    }
  }
  std::vector<double> ours, by_hand, ratios;
  for (int i = 0; i < rounds; ++i) {
    by_hand.push_back(gigabits(box, "hp1", seconds));
    ours.push_back(gigabits(box, "op1", seconds));
    ratios.push_back(ours.back() / by_hand.back());
    std::printf("round %d: ours %.2f Gbit/s, by hand %.2f Gbit/s, ratio %.3f\n", i + 1, ours.back(), by_hand.back(),
                ratios.back());
    std::fflush(stdout);
  }
  std::printf("median: ours %.2f Gbit/s, by hand %.2f Gbit/s, ratio of medians %.3f\n", median(ours), median(by_hand),
              median(ours) / median(by_hand));
  std::printf("wiring one pod: %.2f ms\n", wiring_milliseconds(box));
  return 0;
}

}  // namespace
}  // namespace lab::overlay

int main(int argc, char** argv) {
  return lab::overlay::bench(argc > 1 ? std::atoi(argv[1]) : 5, argc > 2 ? std::atoi(argv[2]) : 3);
}
