// Two nodes with real overlay agents, six pods of three namespaces that the real plugin wired, a machine outside, and
// the policy rules of both nodes, changed step by step as an agent changes them.
//
//   node n1: a (x: app=a, tier=front)   b (x: app=b)             e (y: app=a)
//   node n2: c (x: app=c, tier=db)      d (y: app=b, tier=db)    f (z: no labels)
//   namespaces: x team=red   y team=blue, env=dev   z none; all with kubernetes.io/metadata.name
//   named ports: c http=80/TCP dns=53/UDP   d http=8080/TCP   a http=80/TCP
#pragma once

#include <optional>

#include "overlay-net/policy/blocked_log.h"
#include "overlay-net/policy/executor.h"
#include "overlay-net/policy/explain.h"
#include "overlay-net/policy/ruleset.h"
#include "tests/netns/overlay/cluster.h"
#include "tests/netns/policy/probes.h"
#include "tests/netns/support/probe.h"

namespace lab::overlay::policy {

inline json::Value json_of(const std::string& text) {
  return test::must(json::parse(text));
}

struct Nodes {
  test::Cluster cluster{2};
  std::map<std::string, std::string> addresses;  // pod, node or machine -> address
  std::map<std::string, Ruleset> rules;          // by node
  std::map<std::string, Executor> executors;
  std::vector<std::unique_ptr<test::AnswerServer>> servers;
  std::optional<test::Prober> prober;
  ProgramOptions options{.log_limit_per_second = 0};

  Nodes() {
    for (int i : {1, 2}) cluster.start(i);
    for (int i : {1, 2}) {
      if (!cluster.ready(i, 1)) throw std::runtime_error("the overlay is not up: " + json::dump(cluster.status(i)));
    }
    outside();
    for (int i : {1, 2}) {
      auto node = test::Cluster::node(i);
      addresses[node] = test::Cluster::address(i);
      const auto& ns = cluster.box.ns(node);
      executors.emplace(node, test::must(in_netns(ns, [] { return Executor::open(); })));
      rules.emplace(node, Ruleset(node));
      test::must(in_netns(ns, [&] { return executors.at(node).prepare(); }));
      serve(node);
    }
    namespace_("x", R"({"kubernetes.io/metadata.name":"x","team":"red"})");
    namespace_("y", R"({"kubernetes.io/metadata.name":"y","team":"blue","env":"dev"})");
    namespace_("z", R"({"kubernetes.io/metadata.name":"z"})");
    pod(1, "x", "a", R"({"app":"a","tier":"front"})", {{"http", IPPROTO_TCP, 80}});
    pod(1, "x", "b", R"({"app":"b"})");
    pod(1, "y", "e", R"({"app":"a"})");
    pod(2, "x", "c", R"({"app":"c","tier":"db"})", {{"http", IPPROTO_TCP, 80}, {"dns", IPPROTO_UDP, 53}});
    pod(2, "y", "d", R"({"app":"b","tier":"db"})", {{"http", IPPROTO_TCP, 8080}});
    pod(2, "z", "f", "{}");
    prober.emplace(std::vector{cluster.box.ns("n1"), cluster.box.ns("n2")}, kLogGroup);
    for (auto& [node, r] : rules) converge(node, r);
  }

  void outside() {
    cluster.box.add("o");
    cluster.box.plug("o", "eth0", "192.168.77.200/24", "wire", "br0");
    addresses["o"] = "192.168.77.200";
    auto netlink = test::must(Netlink::open_in(cluster.box.ns("o")));
    for (int i : {1, 2}) {
      test::must(netlink.replace_route({.destination = *Cidr::parse(test::Cluster::range(i)),
                                        .gateway = *IpAddress::parse(test::Cluster::address(i)),
                                        .link = test::must(netlink.link("eth0")).index}));
    }
    serve("o");
  }
  void serve(const std::string& name) {
    servers.push_back(std::make_unique<test::AnswerServer>(
        cluster.box.ns(name), test::AnswerServer::Options{.word = name, .tcp = 80, .udp = 53}));
    servers.push_back(std::make_unique<test::AnswerServer>(cluster.box.ns(name),
                                                           test::AnswerServer::Options{.word = name, .tcp = 8080}));
  }
  void namespace_(const std::string& name, const std::string& labels) {
    for (auto& [node, r] : rules) r.set_namespace(name, json::as_object(json_of(labels)));
  }
  void pod(int node, const std::string& ns, const std::string& name, const std::string& labels,
           std::vector<NamedPort> ports = {}) {
    addresses[name] = cluster.add_pod(node, name);
    serve(name);
    set_pod(node, ns, name, labels, std::move(ports));
  }
  void set_pod(int node, const std::string& ns, const std::string& name, const std::string& labels,
               std::vector<NamedPort> ports = {}) {
    Pod p{.ns = ns, .name = name, .node = test::Cluster::node(node)};
    p.labels = json::as_object(json_of(labels));
    p.node_address = *IpAddress::parse(test::Cluster::address(node));
    p.addresses = {*IpAddress::parse(addresses.at(name))};
    p.ports = std::move(ports);
    for (auto& [n, r] : rules) r.set_pod(p);
  }

  // The policies are now these: pairs of "NAMESPACE/NAME" and the JSON of a spec.
  void set_policies(const std::vector<std::pair<std::string, std::string>>& wanted) {
    for (auto& [node, r] : rules) {
      std::set<std::string> keep;
      for (const auto& [key, spec] : wanted) keep.insert(key);
      std::vector<std::string> gone;
      for (const auto& [ns, policies] : r.model().policies()) {
        for (const auto& [name, p] : policies) {
          if (!keep.contains(p.key())) gone.push_back(p.key());
        }
      }
      for (const auto& key : gone) r.remove_policy(key);
      for (const auto& [key, spec] : wanted) {
        auto slash = key.find('/');
        json::Value object = json::Object{
            {"metadata", json::Object{{"namespace", key.substr(0, slash)}, {"name", key.substr(slash + 1)}}}};
        json::set(object, json_of(spec), "spec");
        auto policy = policy_from(object);
        for (const auto& p : policy.problems) ADD_FAILURE() << key << ": " << p;
        r.set_policy(std::move(policy));
      }
    }
    apply();
  }
  Result<void> on(const std::string& node, std::function<Result<void>()> f) {
    return in_netns(cluster.box.ns(node), std::move(f));
  }
  void apply() {
    for (auto& [node, r] : rules) {
      auto change = r.take_change();
      test::must(executors.at(node).run(change.script));
    }
  }
  // What an agent does when it starts, and whenever it is not sure of the kernel's state.
  void converge(const std::string& node, Ruleset& r) {
    auto kernel = test::must(executors.at(node).list());
    test::must(executors.at(node).run(r.converge_script(kernel.value_or(Program{}), options)));
  }
  const Model& model() { return rules.at("n1").model(); }
  Party party(const std::string& name) {
    auto address = *IpAddress::parse(addresses.at(name));
    return {address, model().pod_at(address)};
  }
};

}  // namespace lab::overlay::policy
