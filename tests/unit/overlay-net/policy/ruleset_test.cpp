#include <random>

#include "tests/unit/overlay-net/policy/fixtures.h"

namespace lab::overlay::policy {
namespace {

const std::string kDb = R"({"podSelector":{"matchLabels":{"app":"db"}},"policyTypes":["Ingress","Egress"],
    "ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"web"}}},{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}}],
                "ports":[{"port":5432},{"port":8000,"endPort":8100},{"port":8050,"endPort":8200},{"port":"http"}]}],
    "egress":[{"to":[{"namespaceSelector":{}}],"ports":[{"protocol":"UDP","port":53}]}]})";

bool has(const Ruleset& r, const std::string& set, const std::string& key) {
  for (const auto& e : r.program().elements) {
    if (e.set == set && e.key == key) return true;
  }
  return false;
}

TEST(Program, IsAsReadersExpectIt) {
  Model m;
  m.set_policy(policy("prod", "db", kDb));
  auto p = program_of(m);
  ASSERT_TRUE(p.chains.contains("in/prod/db"));
  EXPECT_EQ(p.chains["in/prod"], "ip daddr @pods/prod/db jump in/prod/db\ngoto blocked-ingress\n");
  EXPECT_EQ(p.chains["eg/prod"], "ip saddr @pods/prod/db jump eg/prod/db\ngoto blocked-egress\n");
  const auto& in = p.chains["in/prod/db"];
  EXPECT_NE(in.find("tcp dport { 5432, 8000-8200 } accept comment \"rule 1\"\n"), std::string::npos) << in;
  EXPECT_NE(
      in.find("ip saddr 10.0.0.0/8 ip saddr != { 10.1.0.0/16 } ip daddr . meta l4proto . th dport @port/http/tcp"),
      std::string::npos)
      << in;
  EXPECT_EQ(p.chains["eg/prod/db"].substr(0, 9), "ip daddr ");
  EXPECT_TRUE(p.sets.contains("port/http/tcp"));
  EXPECT_TRUE(p.elements.empty());
}

TEST(Program, ALongNameIsCutButStaysItsOwn) {
  auto a = policy("prod", std::string(250, 'a'), R"({"podSelector":{}})");
  auto b = policy("prod", std::string(249, 'a') + "b", R"({"podSelector":{}})");
  EXPECT_LT(policy_chain(Direction::kIngress, a).size(), 256u);
  EXPECT_NE(policy_chain(Direction::kIngress, a), policy_chain(Direction::kIngress, b));
  EXPECT_NE(pods_set(a), pods_set(b));
}

struct RulesetTest : testing::Test {
  Ruleset r{"n1"};
  void SetUp() override {
    r.set_namespace("prod", {});
    r.set_policy(policy("prod", "db", kDb));
    r.set_policy(policy("prod", "default", R"({"podSelector":{}})"));
    (void)r.take_change();
  }
};

TEST_F(RulesetTest, APodTouchesAsManyElementsAmongManyPodsAsAmongFew) {
  auto web = [](int i, const std::string& node) {
    return pod("prod", "web" + std::to_string(i),
               "10.244." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 2), R"({"app":"web"})", node);
  };
  auto cost = [&](int i, const std::string& node) {
    r.set_pod(web(i, node));
    auto added = r.take_change();
    EXPECT_FALSE(added.chains);
    EXPECT_EQ(added.script.find("chain"), std::string::npos);
    r.remove_pod(web(i, node).key());
    auto removed = r.take_change();
    EXPECT_EQ(removed.elements, added.elements);
    return added.elements;
  };
  auto among_few = cost(0, "n1"), elsewhere_among_few = cost(0, "n2");
  for (int i = 1; i <= 3000; ++i) r.set_pod(web(i, i % 3 ? "n2" : "n1"));
  (void)r.take_change();
  EXPECT_EQ(cost(0, "n1"), among_few);
  EXPECT_EQ(cost(0, "n2"), elsewhere_among_few);
  EXPECT_EQ(among_few, 5u);            // ingress-pods, self, pods/prod/default, two groups
  EXPECT_EQ(elsewhere_among_few, 2u);  // two groups
}

TEST_F(RulesetTest, AChangeThatMeansNothingTouchesNothing) {
  auto p = pod("prod", "web", "10.244.1.3", R"({"app":"web"})");
  r.set_pod(p);
  EXPECT_NE(r.take_change().script, "");
  p.labels["version"] = "2";
  r.set_pod(p);
  EXPECT_EQ(r.take_change().script, "");
  r.set_policy(policy("prod", "db", kDb));
  EXPECT_EQ(r.take_change().script, "");
}

TEST_F(RulesetTest, APodIsIsolatedBeforeItsLabelsAreKnown) {
  r.wire("prod", "db-0", ip("10.244.1.9"));
  r.wire("other", "x", ip("10.244.1.10"));
  (void)r.take_change();
  EXPECT_TRUE(has(r, "ingress-pods", "10.244.1.9"));
  EXPECT_TRUE(has(r, "egress-pods", "10.244.1.9"));
  EXPECT_FALSE(has(r, "pods/prod/db", "10.244.1.9"));
  EXPECT_FALSE(has(r, "ingress-pods", "10.244.1.10"));
  EXPECT_EQ(r.model().judge(Direction::kIngress, flow(r.model(), "10.244.1.3", "10.244.1.9")).why, Why::kUnknown);
  r.set_pod(pod("prod", "db-0", "", R"({"app":"web"})", "n1"));
  (void)r.take_change();
  EXPECT_TRUE(has(r, "ingress-pods", "10.244.1.9"));
  EXPECT_FALSE(has(r, "egress-pods", "10.244.1.9"));  // no policy selects it for that
  EXPECT_TRUE(has(r, "pods/prod/default", "10.244.1.9"));
}

TEST_F(RulesetTest, AnAddressThatIsGivenAnewIsTheNewPods) {
  r.set_pod(pod("prod", "old", "10.244.1.9", R"({"app":"db"})"));
  (void)r.take_change();
  EXPECT_TRUE(has(r, "egress-pods", "10.244.1.9"));
  r.wire("free", "new", ip("10.244.1.9"));
  r.set_pod(pod("free", "new", "", R"({})"));
  (void)r.take_change();
  EXPECT_FALSE(has(r, "egress-pods", "10.244.1.9"));
  EXPECT_EQ(r.model().pod_at(ip("10.244.1.9"))->key(), "free/new");
  // Elsewhere, the younger of two has it.
  r.set_pod(pod("prod", "a", "10.244.2.9", R"({"app":"web"})", "n2"));
  auto young = pod("free", "b", "10.244.2.9", R"({})", "n2");
  young.created = "2026-02-01T00:00:00Z";
  r.set_pod(young);
  (void)r.take_change();
  EXPECT_EQ(r.model().pod_at(ip("10.244.2.9"))->key(), "free/b");
  r.remove_pod("free/b");
  (void)r.take_change();
  EXPECT_EQ(r.model().pod_at(ip("10.244.2.9"))->key(), "prod/a");
}

TEST_F(RulesetTest, ANamespaceThatChangesItsLabelsChangesWhoIsMeant) {
  r.set_policy(policy(
      "prod", "db", R"({"podSelector":{},"ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"team":"a"}}}]}]})"));
  r.set_pod(pod("dev", "x", "10.244.2.5", R"({})", "n2"));
  r.set_namespace("dev", {});
  (void)r.take_change();
  Peer peer{.ns = "prod", .namespaces = *api::LabelSelector::parse("team=a")};
  EXPECT_FALSE(has(r, peer_set(peer), "10.244.2.5"));
  r.set_namespace("dev", json::as_object(parsed(R"({"team":"a"})")));
  auto change = r.take_change();
  EXPECT_TRUE(has(r, peer_set(peer), "10.244.2.5"));
  EXPECT_EQ(change.elements, 1u);
  r.remove_namespace("dev");
  (void)r.take_change();
  EXPECT_FALSE(has(r, peer_set(peer), "10.244.2.5"));
}

TEST_F(RulesetTest, ThePolicyThatGoesTakesItsChainsAndSetsAlong) {
  r.remove_policy("prod/db");
  r.remove_policy("prod/default");
  auto change = r.take_change();
  EXPECT_TRUE(change.chains);
  for (const char* line : {"delete chain inet lab-policy in/prod\n", "delete chain inet lab-policy eg/prod/db\n",
                           "delete set inet lab-policy pods/prod/db\n", "delete set inet lab-policy port/http/tcp\n"}) {
    EXPECT_NE(change.script.find(line), std::string::npos) << line << change.script;
  }
  EXPECT_EQ(r.program(), Program{});
}

// Whatever the order of news, the state is that of one who learnt all at once.
TEST(Ruleset, ChangeByChangeComesToTheSameAsAllAtOnce) {
  const std::string specs[] = {
      kDb, R"({"podSelector":{}})",
      R"({"podSelector":{"matchExpressions":[{"key":"app","operator":"Exists"}]},"egress":[{}]})",
      R"({"podSelector":{},"ingress":[{"from":[{"namespaceSelector":{"matchLabels":{"team":"a"}}}],"ports":[{"port":"http"}]}]})"};
  const std::string labels[] = {"{}", R"({"app":"db"})", R"({"app":"web"})", R"({"team":"a"})"};
  for (unsigned seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    Ruleset r("n1");
    std::map<std::string, Policy> policies;
    std::map<std::string, Pod> pods;
    std::map<std::string, json::Object> namespaces;
    std::map<IpAddress, std::pair<std::string, std::string>> wired;
    for (int step = 0; step < 120; ++step) {
      std::string ns = std::string(1, static_cast<char>('a' + pick(3))), name = "x" + std::to_string(pick(6));
      auto address = "10.244.1." + std::to_string(2 + pick(8));
      switch (pick(8)) {
        case 0: {
          auto p = policy(ns, name, specs[pick(4)]);
          policies.insert_or_assign(p.key(), p);
          r.set_policy(p);
          break;
        }
        case 1:
          policies.erase(ns + "/" + name);
          r.remove_policy(ns + "/" + name);
          break;
        case 2:
          namespaces[ns] = json::as_object(parsed(labels[pick(4)]));
          r.set_namespace(ns, namespaces[ns]);
          break;
        case 3:
          namespaces.erase(ns);
          r.remove_namespace(ns);
          break;
        case 4:
          pods.erase(ns + "/" + name);
          r.remove_pod(ns + "/" + name);
          break;
        case 5:
          wired[ip(address)] = {ns, name};
          r.wire(ns, name, ip(address));
          break;
        case 6:
          wired.erase(ip(address));
          r.unwire(ip(address));
          break;
        default: {
          auto p = pod(ns, name, pick(4) ? address : "", labels[pick(4)], pick(2) ? "n1" : "n2");
          p.created = std::to_string(step + 1000);
          if (pick(2)) p.ports = {{"http", IPPROTO_TCP, static_cast<std::uint16_t>(80 + pick(2))}};
          pods.insert_or_assign(p.key(), p);
          r.set_pod(p);
        }
      }
      if (pick(3) == 0) (void)r.take_change();
    }
    (void)r.take_change();
    Ruleset all("n1");
    for (const auto& [a, w] : wired) all.wire(w.first, w.second, a);
    for (const auto& [k, p] : pods) all.set_pod(p);
    for (const auto& [k, l] : namespaces) all.set_namespace(k, l);
    for (const auto& [k, p] : policies) all.set_policy(p);
    (void)all.take_change();
    EXPECT_EQ(r.program(), all.program()) << "seed " << seed;
  }
}

TEST(Program, IsReadBackFromTheKernelsAnswer) {
  auto p = program_listed(parsed(R"({"nftables":[{"metainfo":{}},
    {"set":{"family":"inet","name":"self","table":"lab-policy","elem":[{"concat":["10.244.1.5","10.244.1.5"]}]}},
    {"set":{"family":"inet","name":"port/http/tcp","table":"lab-policy","elem":[{"concat":["10.244.1.6",17,53]},{"concat":["10.244.1.5",6,80]}]}},
    {"set":{"family":"inet","name":"peers/1","table":"lab-policy","elem":["10.244.1.5"]}},
    {"set":{"family":"inet","name":"peers/2","table":"other","elem":["10.244.1.5"]}},
    {"map":{"family":"inet","name":"ingress-pods","table":"lab-policy","map":"verdict","elem":[["10.244.1.5",{"goto":{"target":"in/prod"}}]]}},
    {"chain":{"family":"inet","table":"lab-policy","name":"blocked-ingress"}},
    {"chain":{"family":"inet","table":"lab-policy","name":"in/prod"}}]})"));
  EXPECT_EQ(p.chains.size(), 1u);
  EXPECT_EQ(p.sets.size(), 2u);
  std::set<Element> wanted{{"self", "10.244.1.5 . 10.244.1.5", ""},
                           {"port/http/tcp", "10.244.1.6 . udp . 53", ""},
                           {"port/http/tcp", "10.244.1.5 . tcp . 80", ""},
                           {"peers/1", "10.244.1.5", ""},
                           {"ingress-pods", "10.244.1.5", "goto in/prod"}};
  EXPECT_EQ(p.elements, wanted);
}

}  // namespace
}  // namespace lab::overlay::policy
