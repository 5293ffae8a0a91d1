// Rows as `kubectl get -o wide` shows them, from objects as a server holds them.
#include <gtest/gtest.h>

#include "orchestrator/api/kind.h"
#include "orchestrator/api/time.h"

namespace lab::api {
namespace {

json::Value js(std::string_view text) {
  auto v = json::parse(text);
  EXPECT_TRUE(v) << text;
  return *v;
}

const WallTime kNow = *parse_time("2026-01-01T01:00:00Z");

// "A|B|C": cells joined, checked against the number of columns.
std::string row(const char* api_version, const char* kind_name, const char* object) {
  auto kind = find_kind_by_name(api_version, kind_name);
  EXPECT_TRUE(kind) << kind_name;
  auto cells = row_of(*kind, js(object), kNow);
  EXPECT_EQ(cells.size(), columns_of(*kind).size());
  std::string out;
  for (const auto& c : cells) {
    if (!out.empty()) out += "|";
    out += c.is_string() ? std::string(json::as_str(c)) : json::dump(c);
  }
  return out;
}

std::string header(const char* api_version, const char* kind_name) {
  std::string out;
  for (const auto& c : columns_of(*find_kind_by_name(api_version, kind_name)))
    out += (out.empty() ? "" : "|") + c.name + (c.priority > 0 ? "*" : "");
  return out;
}

// Cells 2 and 3 of a pod: READY|STATUS|RESTARTS.
std::string pod(const char* rest) {
  std::string object =
      std::string(R"({"metadata":{"name":"p","creationTimestamp":"2026-01-01T00:00:00Z"},)") + rest + "}";
  std::string text = row("v1", "Pod", object.c_str());
  auto cut = text.find("|60m|");
  EXPECT_NE(cut, std::string::npos) << text;
  return text.substr(2, cut - 2);
}

TEST(Printers, PodHeader) {
  EXPECT_EQ(header("v1", "Pod"), "Name|Ready|Status|Restarts|Age|IP*|Node*|Nominated Node*|Readiness Gates*");
  EXPECT_EQ(columns_of(*find_kind("", "v1", "pods"))[0].format, "name");
}

TEST(Printers, PodStates) {
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"}]},"status":{"phase":"Pending"})"), "0/1|Pending|0");
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"}]},"status":{"phase":"Pending","containerStatuses":[
                {"name":"a","state":{"waiting":{"reason":"ContainerCreating"}}}]})"),
            "0/1|ContainerCreating|0");
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"},{"name":"b"}]},"status":{"phase":"Running","containerStatuses":[
                {"name":"a","ready":true,"restartCount":2,"state":{"running":{}},
                 "lastState":{"terminated":{"finishedAt":"2026-01-01T00:55:00Z"}}},
                {"name":"b","ready":false,"restartCount":1,"state":{"running":{}}}]})"),
            "1/2|Running|3 (5m ago)");
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running","containerStatuses":[
                {"name":"a","restartCount":4,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]})"),
            "0/1|CrashLoopBackOff|4");
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"}]},"status":{"phase":"Succeeded","containerStatuses":[
                {"name":"a","state":{"terminated":{"reason":"Completed","exitCode":0}}}]})"),
            "0/1|Completed|0");
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"}]},"status":{"phase":"Failed","containerStatuses":[
                {"name":"a","state":{"terminated":{"reason":"Error","exitCode":1}}}]})"),
            "0/1|Error|0");
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"}]},"status":{"phase":"Failed","containerStatuses":[
                {"name":"a","state":{"terminated":{"exitCode":137,"signal":9}}}]})"),
            "0/1|Signal:9|0");
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"}]},"status":{"phase":"Failed","reason":"Evicted"})"),
            "0/1|Evicted|0");
  // One of two has ended well, the other runs.
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"},{"name":"b"}]},"status":{"phase":"Running",
                "conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[
                {"name":"a","state":{"terminated":{"reason":"Completed","exitCode":0}}},
                {"name":"b","ready":true,"state":{"running":{}}}]})"),
            "1/2|Running|0");
}

TEST(Printers, PodInitContainers) {
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i"},{"name":"j"}]},
                "status":{"phase":"Pending","initContainerStatuses":[
                {"name":"i","state":{"terminated":{"exitCode":0}}},{"name":"j","state":{"running":{}}}]})"),
            "0/1|Init:1/2|0");
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i"}]},
                "status":{"phase":"Pending","initContainerStatuses":[
                {"name":"i","restartCount":3,"state":{"waiting":{"reason":"CrashLoopBackOff"}}}]})"),
            "0/1|Init:CrashLoopBackOff|3");
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i"}]},
                "status":{"phase":"Failed","initContainerStatuses":[
                {"name":"i","state":{"terminated":{"exitCode":2}}}]})"),
            "0/1|Init:ExitCode:2|0");
  // A started sidecar counts as a container.
  EXPECT_EQ(pod(R"("spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"s","restartPolicy":"Always"}]},
                "status":{"phase":"Running","conditions":[{"type":"Initialized","status":"True"}],
                "initContainerStatuses":[{"name":"s","started":true,"ready":true,"state":{"running":{}}}],
                "containerStatuses":[{"name":"a","ready":true,"state":{"running":{}}}]})"),
            "2/2|Running|0");
}

TEST(Printers, PodDeletion) {
  std::string text = row("v1", "Pod",
                         R"({"metadata":{"name":"p","deletionTimestamp":"2026-01-01T00:59:00Z"},
      "spec":{"nodeName":"n1","containers":[{"name":"a"}],"readinessGates":[{"conditionType":"x"}]},
      "status":{"phase":"Running","podIPs":[{"ip":"10.0.0.1"}]}})");
  EXPECT_EQ(text, "p|0/1|Terminating|0|<unknown>|10.0.0.1|n1|<none>|0/1");
}

TEST(Printers, Nodes) {
  EXPECT_EQ(row("v1", "Node", R"({"metadata":{"name":"n1","creationTimestamp":"2025-12-31T01:00:00Z",
      "labels":{"node-role.kubernetes.io/control-plane":"","kubernetes.io/role":"lab"}},"spec":{"unschedulable":true},
      "status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP","address":"10.1.1.1"}],
      "nodeInfo":{"kubeletVersion":"v1.32.3","osImage":"Debian","kernelVersion":"6.1","containerRuntimeVersion":"containerd://1.6"}}})"),
            "n1|Ready,SchedulingDisabled|control-plane,lab|24h|v1.32.3|10.1.1.1|<none>|Debian|6.1|containerd://1.6");
  EXPECT_EQ(row("v1", "Node", R"({"metadata":{"name":"n"}})").substr(0, 26), "n|Unknown|<none>|<unknown>");
}

TEST(Printers, Workloads) {
  EXPECT_EQ(row("apps/v1", "Deployment", R"({"metadata":{"name":"web","creationTimestamp":"2026-01-01T00:58:30Z"},
      "spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}},
      "template":{"spec":{"containers":[{"name":"c","image":"i:1"},{"name":"d","image":"j"}]}}},
      "status":{"readyReplicas":2,"updatedReplicas":3,"availableReplicas":2}})"),
            "web|2/3|3|2|90s|c,d|i:1,j|app=web");
  EXPECT_EQ(header("apps/v1", "ReplicaSet"), "Name|Desired|Current|Ready|Age|Containers*|Images*|Selector*");
  EXPECT_EQ(row("apps/v1", "DaemonSet",
                R"({"metadata":{"name":"d"},"spec":{"template":{"spec":{"nodeSelector":{"b":"2","a":"1"}}}},
      "status":{"desiredNumberScheduled":3,"currentNumberScheduled":3,"numberReady":2,"updatedNumberScheduled":3,"numberAvailable":1}})"),
            "d|3|3|2|3|1|a=1,b=2|<unknown>|||<none>");
  EXPECT_EQ(row("batch/v1", "Job", R"({"metadata":{"name":"j"},"spec":{"completions":2},"status":{"succeeded":2,
      "startTime":"2026-01-01T00:00:00Z","completionTime":"2026-01-01T00:01:05Z","conditions":[{"type":"Complete","status":"True"}]}})")
                .substr(0, 20),
            "j|Complete|2/2|65s|<");
  EXPECT_EQ(row("batch/v1", "Job", R"({"metadata":{"name":"j"},"spec":{"parallelism":3}})").substr(0, 20),
            "j|Running|0/1 of 3||");
  EXPECT_EQ(row("batch/v1", "CronJob", R"({"metadata":{"name":"c"},"spec":{"schedule":"* * * * *"}})").substr(0, 46),
            "c|* * * * *|<none>|False|0|<none>|<unknown>|||");
  EXPECT_EQ(row("autoscaling/v2", "HorizontalPodAutoscaler", R"({"metadata":{"name":"h"},
      "spec":{"scaleTargetRef":{"kind":"Deployment","name":"web"},"minReplicas":1,"maxReplicas":5,"metrics":[{"type":"Resource",
      "resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}]},"status":{"currentReplicas":2}})"),
            "h|Deployment/web|cpu: <unknown>/80%|1|5|2|<unknown>");
}

TEST(Printers, Network) {
  EXPECT_EQ(
      row("v1", "Service",
          R"({"metadata":{"name":"s"},"spec":{"type":"NodePort","clusterIP":"10.96.0.9","clusterIPs":["10.96.0.9"],
      "ports":[{"port":80,"nodePort":30080,"protocol":"TCP"},{"port":53,"protocol":"UDP"}],"selector":{"a":"b"}}})"),
      "s|NodePort|10.96.0.9|<none>|80:30080/TCP,53/UDP|<unknown>|a=b");
  EXPECT_EQ(row("v1", "Service", R"({"metadata":{"name":"s"},"spec":{"type":"ExternalName","externalName":"x.org"}})"),
            "s|ExternalName|<none>|x.org|<none>|<unknown>|<none>");
  EXPECT_EQ(row("v1", "Service", R"({"metadata":{"name":"s"},"spec":{"type":"LoadBalancer","clusterIP":"1.1.1.1"}})")
                .substr(0, 32),
            "s|LoadBalancer|1.1.1.1|<pending>");
  EXPECT_EQ(row("v1", "Endpoints",
                R"({"metadata":{"name":"e"},"subsets":[{"addresses":[{"ip":"1.1.1.1"},{"ip":"::1"},{"ip":"3.3.3.3"},
      {"ip":"4.4.4.4"}],"ports":[{"port":80}]}]})"),
            "e|1.1.1.1:80,[::1]:80,3.3.3.3:80 + 1 more...|<unknown>");
  EXPECT_EQ(row("discovery.k8s.io/v1", "EndpointSlice", R"({"metadata":{"name":"e"},"addressType":"IPv4"})"),
            "e|IPv4|<unset>|<unset>|<unknown>");
  EXPECT_EQ(row("networking.k8s.io/v1", "Ingress", R"({"metadata":{"name":"i"},"spec":{"ingressClassName":"nginx",
      "rules":[{"host":"a.b"}],"tls":[{}]},"status":{"loadBalancer":{"ingress":[{"ip":"9.9.9.9"}]}}})"),
            "i|nginx|a.b|9.9.9.9|80, 443|<unknown>");
  EXPECT_EQ(row("networking.k8s.io/v1", "NetworkPolicy", R"({"metadata":{"name":"n"},"spec":{"podSelector":{}}})"),
            "n|<none>|<unknown>");
}

TEST(Printers, Others) {
  EXPECT_EQ(
      row("v1", "Event",
          R"({"metadata":{"name":"e.1"},"lastTimestamp":"2026-01-01T00:59:30Z","firstTimestamp":"2026-01-01T00:50:00Z",
      "count":4,"type":"Warning","reason":"BackOff","involvedObject":{"kind":"Pod","name":"p"},"source":{"component":"kubelet","host":"n1"},
      "message":"restarting\n"})"),
      "30s|Warning|BackOff|pod/p||kubelet, n1|restarting|10m|4|e.1");
  EXPECT_EQ(row("v1", "Secret", R"({"metadata":{"name":"s"},"type":"Opaque","data":{"a":"","b":""}})"),
            "s|Opaque|2|<unknown>");
  EXPECT_EQ(row("v1", "ConfigMap", R"({"metadata":{"name":"c"},"data":{"a":""},"binaryData":{"b":""}})"),
            "c|2|<unknown>");
  EXPECT_EQ(row("rbac.authorization.k8s.io/v1", "ClusterRole",
                R"({"metadata":{"name":"r","creationTimestamp":"2026-01-01T00:00:00Z"}})"),
            "r|2026-01-01T00:00:00Z");
  EXPECT_EQ(row("rbac.authorization.k8s.io/v1", "RoleBinding",
                R"({"metadata":{"name":"b"},"roleRef":{"kind":"Role","name":"r"},
      "subjects":[{"kind":"User","name":"u"},{"kind":"Group","name":"g"},{"kind":"ServiceAccount","namespace":"n","name":"s"}]})"),
            "b|Role/r|<unknown>|u|g|n/s");
  EXPECT_EQ(
      row("certificates.k8s.io/v1", "CertificateSigningRequest", R"({"metadata":{"name":"c"},"spec":{"signerName":"k/x",
      "username":"u"},"status":{"certificate":"eA==","conditions":[{"type":"Approved"}]}})"),
      "c|<unknown>|k/x|u|<none>|Approved,Issued");
  EXPECT_EQ(row("policy/v1", "PodDisruptionBudget",
                R"({"metadata":{"name":"p"},"spec":{"minAvailable":"50%"},"status":{"disruptionsAllowed":1}})"),
            "p|50%|N/A|1|<unknown>");
  EXPECT_EQ(row("storage.k8s.io/v1", "StorageClass", R"({"metadata":{"name":"s","annotations":{
      "storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"x"})"),
            "s (default)|x|Delete|Immediate|false|<unknown>");
  EXPECT_EQ(row("v1", "PersistentVolumeClaim",
                R"({"metadata":{"name":"c"},"spec":{"volumeName":"v","accessModes":["ReadWriteOnce"]},
      "status":{"phase":"Bound","capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"]}})"),
            "c|Bound|v|1Gi|RWO||<unset>|<unknown>|<unset>");
  EXPECT_EQ(row("v1", "ResourceQuota",
                R"({"metadata":{"name":"q"},"status":{"hard":{"pods":"3","limits.cpu":"2"},"used":{"pods":"1"}}})"),
            "q|pods: 1/3|limits.cpu: 0/2|<unknown>");
}

// Whatever an object looks like, a row has as many cells as there are columns.
TEST(Printers, EmptyObjectsOfEveryKind) {
  for (const auto& k : builtin_kinds()) {
    EXPECT_EQ(row_of(*k, js("{}"), kNow).size(), columns_of(*k).size()) << k->kind;
    EXPECT_EQ(row_of(*k, nullptr, kNow).size(), columns_of(*k).size()) << k->kind;
  }
}

}  // namespace
}  // namespace lab::api
