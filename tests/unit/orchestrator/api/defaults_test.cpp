#include "orchestrator/api/defaults.h"

#include <gtest/gtest.h>

namespace lab::api {
namespace {

json::Value defaulted(std::string_view api_version, std::string_view kind, std::string_view text) {
  Kind row;
  const std::size_t slash = api_version.find('/');
  row.group = slash == api_version.npos ? "" : api_version.substr(0, slash);
  row.version = slash == api_version.npos ? api_version : api_version.substr(slash + 1);
  row.kind = kind;
  auto object = json::parse(text);
  EXPECT_TRUE(object) << text;
  if (!object) return {};
  apply_defaults(row, *object);
  const std::string once = json::dump(*object);
  apply_defaults(row, *object);
  EXPECT_EQ(json::dump(*object), once) << "defaulting must be idempotent";
  return *object;
}

json::Value expected(std::string_view text) {
  return json::parse(text).value();
}

TEST(Defaults, OfAPod) {
  EXPECT_EQ(defaulted("v1", "Pod", R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"nginx",
                "ports":[{"containerPort":80}],"resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m"}},
                "env":[{"name":"N","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],
                "livenessProbe":{"httpGet":{"port":80}},"readinessProbe":{"grpc":{"port":1},"periodSeconds":3}}],
                "volumes":[{"name":"a"},{"name":"b","configMap":{"name":"x"}},{"name":"h","hostPath":{"path":"/"}},
                {"name":"i","iscsi":{"lun":0}}]}})"),
            expected(R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"nginx",
                "ports":[{"containerPort":80,"protocol":"TCP"}],
                "resources":{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"500m","memory":"1Gi"}},
                "env":[{"name":"N","valueFrom":{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.name"}}}],
                "livenessProbe":{"httpGet":{"port":80,"path":"/","scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10,
                "successThreshold":1,"failureThreshold":3},
                "readinessProbe":{"grpc":{"port":1,"service":""},"timeoutSeconds":1,"periodSeconds":3,
                "successThreshold":1,"failureThreshold":3},
                "imagePullPolicy":"Always","terminationMessagePath":"/dev/termination-log",
                "terminationMessagePolicy":"File"}],
                "volumes":[{"name":"a","emptyDir":{}},{"name":"b","configMap":{"name":"x","defaultMode":420}},
                {"name":"h","hostPath":{"path":"/","type":""}},{"name":"i","iscsi":{"lun":0,"iscsiInterface":"default"}}],
                "restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst",
                "securityContext":{},"schedulerName":"default-scheduler","enableServiceLinks":true}})"));
}

TEST(Defaults, PullPolicyFollowsTheTag) {
  auto policy = [](std::string image) {
    json::Value container = json::Object{{"name", "c"}, {"image", image}};
    const auto pod = defaulted("v1", "Pod", R"({"spec":{"containers":[)" + json::dump(container) + "]}}");
    return std::string(json::str(json::list(pod, "spec", "containers").at(0), "imagePullPolicy"));
  };
  EXPECT_EQ(policy("nginx"), "Always");
  EXPECT_EQ(policy("nginx:latest"), "Always");
  EXPECT_EQ(policy("nginx:1.25"), "IfNotPresent");
  EXPECT_EQ(policy("registry:5000/nginx"), "Always");
  EXPECT_EQ(policy("registry:5000/a/nginx:1"), "IfNotPresent");
  EXPECT_EQ(policy("nginx@sha256:0123"), "IfNotPresent");
}

TEST(Defaults, HostNetworkPodsUseTheirPorts) {
  const auto pod = defaulted("v1", "Pod",
                             R"({"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"a:1",
                                 "ports":[{"containerPort":80},{"containerPort":81,"hostPort":9}]}]}})");
  const auto& ports = json::list(json::list(pod, "spec", "containers").at(0), "ports");
  EXPECT_EQ(json::num(ports.at(0), "hostPort"), 80);
  EXPECT_EQ(json::num(ports.at(1), "hostPort"), 9);
}

TEST(Defaults, OfAService) {
  EXPECT_EQ(defaulted("v1", "Service", R"({"spec":{"ports":[{"port":80},{"port":81,"targetPort":"http"}]}})"),
            expected(R"({"spec":{"ports":[{"port":80,"protocol":"TCP","targetPort":80},
                {"port":81,"targetPort":"http","protocol":"TCP"}],"sessionAffinity":"None","type":"ClusterIP",
                "internalTrafficPolicy":"Cluster"}})"));
  EXPECT_EQ(defaulted("v1", "Service", R"({"spec":{"type":"LoadBalancer","sessionAffinity":"ClientIP"}})"),
            expected(R"({"spec":{"type":"LoadBalancer","sessionAffinity":"ClientIP",
                "sessionAffinityConfig":{"clientIP":{"timeoutSeconds":10800}},"externalTrafficPolicy":"Cluster",
                "internalTrafficPolicy":"Cluster","allocateLoadBalancerNodePorts":true}})"));
  EXPECT_FALSE(
      json::has(defaulted("v1", "Service", R"({"spec":{"type":"ExternalName"}})"), "spec", "internalTrafficPolicy"));
}

TEST(Defaults, OfWorkloads) {
  const auto deployment = defaulted("apps/v1", "Deployment", R"({"spec":{"template":{"spec":{"containers":[]}}}})");
  EXPECT_EQ(json::num(deployment, "spec", "replicas"), 1);
  EXPECT_EQ(json::str(deployment, "spec", "strategy", "rollingUpdate", "maxSurge"), "25%");
  EXPECT_EQ(json::num(deployment, "spec", "progressDeadlineSeconds"), 600);
  EXPECT_EQ(json::str(deployment, "spec", "template", "spec", "restartPolicy"), "Always");
  EXPECT_FALSE(json::has(deployment, "spec", "template", "spec", "enableServiceLinks"));
  const auto recreate = defaulted("apps/v1", "Deployment", R"({"spec":{"replicas":0,"strategy":{"type":"Recreate"}}})");
  EXPECT_FALSE(json::has(recreate, "spec", "strategy", "rollingUpdate"));
  EXPECT_EQ(json::num(recreate, "spec", "replicas"), 0);
  const auto set = defaulted("apps/v1", "StatefulSet", R"({"spec":{"volumeClaimTemplates":[{"spec":{}}]}})");
  EXPECT_EQ(json::str(json::list(set, "spec", "volumeClaimTemplates").at(0), "kind"), "PersistentVolumeClaim");
  EXPECT_EQ(json::str(set, "spec", "persistentVolumeClaimRetentionPolicy", "whenScaled"), "Retain");
  const auto daemons = defaulted("apps/v1", "DaemonSet", R"({"spec":{}})");
  EXPECT_EQ(json::num(daemons, "spec", "updateStrategy", "rollingUpdate", "maxUnavailable"), 1);
  EXPECT_EQ(defaulted("batch/v1", "Job", R"({"spec":{"parallelism":3,"template":{"metadata":{"labels":{"a":"b"}}}}})"),
            expected(R"({"metadata":{"labels":{"a":"b"}},"spec":{"parallelism":3,"backoffLimit":6,
                "completionMode":"NonIndexed","suspend":false,"manualSelector":false,
                "podReplacementPolicy":"TerminatingOrFailed",
                "template":{"metadata":{"labels":{"a":"b"}},"spec":{"restartPolicy":"Always",
                "terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","securityContext":{},
                "schedulerName":"default-scheduler"}}}})"));
  EXPECT_EQ(json::num(defaulted("batch/v1", "Job", R"({"spec":{}})"), "spec", "completions"), 1);
  EXPECT_EQ(json::num(defaulted("batch/v1", "CronJob", R"({"spec":{}})"), "spec", "successfulJobsHistoryLimit"), 3);
}

TEST(Defaults, OfTheRest) {
  EXPECT_EQ(defaulted("v1", "Secret", R"({"data":{"a":"eA=="},"stringData":{"a":"y","b":"z"}})"),
            expected(R"({"data":{"a":"eQ==","b":"eg=="},"type":"Opaque"})"));
  EXPECT_EQ(json::str(defaulted("v1", "Namespace", R"({"metadata":{"name":"n"}})"), "metadata", "labels",
                      "kubernetes.io/metadata.name"),
            "n");
  EXPECT_EQ(defaulted("rbac.authorization.k8s.io/v1", "RoleBinding",
                      R"({"roleRef":{"kind":"Role","name":"r"},"subjects":[{"kind":"User","name":"u"},
                          {"kind":"ServiceAccount","name":"s"}]})"),
            expected(R"({"roleRef":{"kind":"Role","name":"r","apiGroup":"rbac.authorization.k8s.io"},
                "subjects":[{"kind":"User","name":"u","apiGroup":"rbac.authorization.k8s.io"},
                {"kind":"ServiceAccount","name":"s"}]})"));
  EXPECT_EQ(defaulted("networking.k8s.io/v1", "NetworkPolicy", R"({"spec":{"egress":[{"ports":[{"port":1}]}]}})"),
            expected(R"({"spec":{"egress":[{"ports":[{"port":1,"protocol":"TCP"}]}],
                "policyTypes":["Ingress","Egress"]}})"));
  EXPECT_EQ(defaulted("apiextensions.k8s.io/v1", "CustomResourceDefinition",
                      R"({"spec":{"names":{"kind":"CronTab","plural":"crontabs"}}})"),
            expected(R"({"spec":{"names":{"kind":"CronTab","plural":"crontabs","singular":"crontab",
                "listKind":"CronTabList"},"conversion":{"strategy":"None"}}})"));
  EXPECT_EQ(
      json::dump(json::at(defaulted("autoscaling/v2", "HorizontalPodAutoscaler", R"({"spec":{}})"), "spec", "metrics")),
      R"([{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}])");
  EXPECT_EQ(defaulted("v1", "LimitRange", R"({"spec":{"limits":[{"type":"Container","max":{"cpu":"2"},
                      "min":{"memory":"1Mi"}}]}})"),
            expected(R"({"spec":{"limits":[{"type":"Container","max":{"cpu":"2"},"min":{"memory":"1Mi"},
                "default":{"cpu":"2"},"defaultRequest":{"cpu":"2","memory":"1Mi"}}]}})"));
}

}  // namespace
}  // namespace lab::api
