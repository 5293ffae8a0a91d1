#include "tests/unit/orchestrator/scheduler/world.h"

namespace lab::scheduler {
namespace {

constexpr const char* kControlPlane =
    R"("taints": [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])";

TEST(Filters, TellEveryNodesReasonInKubernetesWords) {
  World w;
  w.node("cp", "", kControlPlane);
  w.node("n1");
  w.node("n2");
  EXPECT_EQ(w.place(w.pod("p", w.wants("64"))),
            "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
            "2 Insufficient cpu.");
  EXPECT_EQ(w.place(w.pod("p", w.wants("64", "64Gi"))),
            "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
            "2 Insufficient cpu, 2 Insufficient memory.");
  EXPECT_EQ(World().place(World::pod("p")), "no nodes available to schedule pods");
}

TEST(Filters, Taints) {
  World w;
  w.node("n1", "", R"("taints": [{"key": "gpu", "value": "a100", "effect": "NoExecute"}])");
  EXPECT_EQ(w.place(w.pod("p")), "0/1 nodes are available: 1 node(s) had untolerated taint {gpu: a100}.");
  auto with = [&](const char* toleration) {
    return w.place(w.pod("p", std::string(R"("tolerations": [)") + toleration + "]"));
  };
  EXPECT_EQ(with(R"({"key": "gpu", "operator": "Exists"})"), "n1");
  EXPECT_EQ(with(R"({"operator": "Exists"})"), "n1");
  EXPECT_EQ(with(R"({"key": "gpu", "value": "a100", "effect": "NoExecute"})"), "n1");
  EXPECT_NE(with(R"({"key": "gpu", "value": "h100"})"), "n1");
  EXPECT_NE(with(R"({"key": "gpu", "operator": "Exists", "effect": "NoSchedule"})"), "n1");
}

TEST(Filters, CordonedNodes) {
  World w;
  w.node("n1", "", R"("unschedulable": true)");
  EXPECT_EQ(w.place(w.pod("p")), "0/1 nodes are available: 1 node(s) were unschedulable.");
  EXPECT_EQ(w.place(w.pod("p", R"("tolerations": [{"operator": "Exists"}])")), "n1");
}

TEST(Filters, NodeSelectorAndAffinity) {
  World w;
  w.node("n1", R"("disk": "ssd", "cores": "8")");
  w.node("n2", R"("disk": "hdd", "cores": "16")");
  EXPECT_EQ(w.place(w.pod("p", R"("nodeSelector": {"disk": "hdd"})")), "n2");
  EXPECT_EQ(w.place(w.pod("p", R"("nodeSelector": {"disk": "tape"})")),
            "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.");
  auto required = [&](const std::string& expression, const char* kind = "matchExpressions") {
    return w.place(w.pod("p", std::string(R"("affinity": {"nodeAffinity": {
      "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{")") +
                                  kind + R"(": [)" + expression + "]}]}}}"));
  };
  EXPECT_EQ(required(R"({"key": "disk", "operator": "In", "values": ["ssd", "x"]})"), "n1");
  EXPECT_EQ(required(R"({"key": "disk", "operator": "NotIn", "values": ["ssd"]})"), "n2");
  EXPECT_EQ(required(R"({"key": "cores", "operator": "Gt", "values": ["8"]})"), "n2");
  EXPECT_EQ(required(R"({"key": "cores", "operator": "Lt", "values": ["16"]})"), "n1");
  EXPECT_EQ(required(R"({"key": "none", "operator": "Exists"})").substr(0, 3), "0/2");
  EXPECT_EQ(required(R"({"key": "metadata.name", "operator": "In", "values": ["n2"]})", "matchFields"), "n2");
}

// A DaemonSet's pod names its node: only that one is looked at, and told about.
TEST(Filters, APodThatNamesItsNodeLooksAtNoOther) {
  World w;
  for (int i = 0; i < 5; ++i) w.node("n" + std::to_string(i));
  auto pod = w.pod("p", w.wants("64") + R"(, "affinity": {"nodeAffinity": {
      "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n3"]}]}]}}})");
  EXPECT_EQ(w.place(pod), "0/5 nodes are available: 1 Insufficient cpu.");
  EXPECT_EQ(w.preempt(pod).message, "preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling.");
}

TEST(Filters, HostPorts) {
  World w;
  w.node("n1");
  auto with = [&](const char* name, const char* port) {
    return w.pod(name, std::string(R"("containers": [{"ports": [)") + port + "]}]");
  };
  w.run(with("a", R"({"hostPort": 80, "hostIP": "10.0.0.1"})"), "n1");
  EXPECT_EQ(w.place(with("b", R"({"hostPort": 80})")),
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.");
  EXPECT_EQ(w.place(with("b", R"({"hostPort": 80, "hostIP": "10.0.0.2"})")), "n1");
  EXPECT_EQ(w.place(with("b", R"({"hostPort": 80, "protocol": "UDP"})")), "n1");
}

TEST(Filters, PodCountAndExtendedResources) {
  World w;
  w.cache.set_node(parse(R"({"metadata": {"name": "n1"}, "status": {"allocatable":
    {"cpu": "4", "memory": "8Gi", "pods": "2", "example.com/gpu": "1"}}})"));
  auto gpu = R"("containers": [{"resources": {"requests": {"example.com/gpu": "1"}}}])";
  w.run(w.pod("a", gpu), "n1");
  EXPECT_EQ(w.place(w.pod("b", gpu)), "0/1 nodes are available: 1 Insufficient example.com/gpu.");
  w.run(w.pod("b"), "n1");
  EXPECT_EQ(w.place(w.pod("c")), "0/1 nodes are available: 1 Too many pods.");
}

TEST(Filters, Volumes) {
  World w;
  w.node("n1", R"("zone": "a")");
  w.node("n2", R"("zone": "b")");
  auto pod = w.pod("p", R"("volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}])");
  EXPECT_EQ(w.place(pod), "0/2 nodes are available: persistentvolumeclaim \"data\" not found.");
  w.claims["default/data"] = parse(R"({"spec": {"storageClassName": "slow"}})");
  EXPECT_EQ(w.place(pod), "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims.");
  w.classes["slow"] = parse(R"({"volumeBindingMode": "WaitForFirstConsumer"})");
  EXPECT_EQ(w.place(pod).substr(0, 1), "n");
  w.claims["default/data"] = parse(R"({"spec": {"volumeName": "pv1"}})");
  w.volumes["pv1"] = parse(R"({"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [
    {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}]}}}})");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(pod), "n2");
}

std::string affinity(const char* which, const std::string& term) {
  return std::string(R"("affinity": {")") + which + R"(": {"requiredDuringSchedulingIgnoredDuringExecution": [)" +
         term + "]}}";
}

TEST(Filters, PodAffinity) {
  World w;
  w.node("n1", R"("zone": "a")");
  w.node("n2", R"("zone": "a")");
  w.node("n3", R"("zone": "b")");
  w.run(w.pod("db", "", R"("app": "db")"), "n3");
  auto near_db = affinity("podAffinity", R"({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "db"}}})");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(w.pod("p", near_db)), "n3");
  auto near_none =
      affinity("podAffinity", R"({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "x"}}})");
  EXPECT_EQ(w.place(w.pod("p", near_none)), "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.");
  EXPECT_NE(w.place(w.pod("p", near_none, R"("app": "x")")).substr(0, 1), "0") << "the first of its group may start";
  EXPECT_EQ(w.place(w.pod("p", near_db, "", "other")).substr(0, 3), "0/3") << "terms mean the pod's own namespace";
}

TEST(Filters, PodAntiAffinity) {
  World w;
  w.node("n1");
  w.node("n2");
  auto apart =
      affinity("podAntiAffinity",
               R"({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "web"}}})");
  w.run(w.pod("w1", apart, R"("app": "web")"), "n1");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(w.place(w.pod("w2", apart, R"("app": "web")")), "n2");
  EXPECT_EQ(w.place(w.pod("plain", "", R"("app": "web")")), "n2") << "w1 refuses its company";
  w.run(w.pod("w2", apart, R"("app": "web")"), "n2");
  EXPECT_EQ(w.place(w.pod("w3", apart, R"("app": "web")")),
            "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.");
  EXPECT_EQ(w.place(w.pod("plain", "", R"("app": "web")")),
            "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules.");
}

TEST(Filters, AffinityAcrossNamespaces) {
  World w;
  w.node("n1");
  w.node("n2");
  w.namespaces["prod"] = parse(R"({"metadata": {"labels": {"tier": "prod"}}})");
  w.run(w.pod("db", "", R"("app": "db")", "prod"), "n2");
  auto near = [&](const char* namespaces) {
    return w.place(w.pod("p", affinity("podAffinity", std::string(R"({"topologyKey": "kubernetes.io/hostname",
      "labelSelector": {"matchLabels": {"app": "db"}}, )") +
                                                          namespaces + "}")));
  };
  EXPECT_EQ(near(R"("namespaces": ["prod"])"), "n2");
  EXPECT_EQ(near(R"("namespaceSelector": {"matchLabels": {"tier": "prod"}})"), "n2");
  EXPECT_EQ(near(R"("namespaceSelector": {})"), "n2");
  EXPECT_EQ(near(R"("namespaceSelector": {"matchLabels": {"tier": "test"}})").substr(0, 3), "0/2");
}

std::string spread(const std::string& more) {
  return R"("topologySpreadConstraints": [{"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "web"}}, )" +
         more + "}]";
}

TEST(Filters, TopologySpread) {
  World w;
  w.node("a1", R"("zone": "a")");
  w.node("a2", R"("zone": "a")");
  w.node("b1", R"("zone": "b")");
  w.node("x1");
  auto web = [&](const char* name, const char* more = R"("maxSkew": 1)") {
    return w.pod(name, spread(more), R"("app": "web")");
  };
  w.run(web("w1"), "a1");
  EXPECT_EQ(w.place(web("w2")), "b1");
  w.run(web("w2"), "b1");
  EXPECT_NE(w.place(web("w3")).substr(0, 1), "0") << "even: any zone will do";
  EXPECT_EQ(w.place(web("w3", R"("maxSkew": 1, "minDomains": 3)")),
            "0/4 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label), "
            "3 node(s) didn't match pod topology spread constraints.")
      << "with fewer domains than asked for, the least counts as none";
  w.run(web("w3"), "b1");
  EXPECT_EQ(w.place(web("w4")).substr(0, 1), "a");
  // A pod that may not run in zone a is measured over zone b alone.
  auto only_b = w.pod("w4", spread(R"("maxSkew": 1)") + R"(, "nodeSelector": {"zone": "b"})", R"("app": "web")");
  EXPECT_EQ(w.place(only_b), "b1");
}

}  // namespace
}  // namespace lab::scheduler
