#include "orchestrator/api/validation.h"

#include <gtest/gtest.h>

namespace lab::api {
namespace {

Kind kind_of(std::string_view api_version, std::string_view kind, bool namespaced = true) {
  Kind row;
  const std::size_t slash = api_version.find('/');
  row.group = slash == api_version.npos ? "" : api_version.substr(0, slash);
  row.version = slash == api_version.npos ? api_version : api_version.substr(slash + 1);
  row.kind = kind;
  row.namespaced = namespaced;
  return row;
}

std::vector<std::string> lines(const std::vector<Finding>& findings) {
  std::vector<std::string> out;
  for (const auto& f : findings) out.push_back(f.field + ": " + f.message);
  return out;
}

json::Value defaulted(const Kind& kind, std::string_view text) {
  auto object = json::parse(text);
  EXPECT_TRUE(object) << text;
  json::Value value = object.value_or(json::Value());
  apply_defaults(kind, value);
  return value;
}

std::vector<std::string> created(std::string_view api_version, std::string_view kind, std::string_view text,
                                 bool namespaced = true) {
  const Kind row = kind_of(api_version, kind, namespaced);
  return lines(validate_create(row, defaulted(row, text)));
}

std::vector<std::string> updated(std::string_view api_version, std::string_view kind, std::string_view old,
                                 std::string_view now, std::string_view subresource = {}) {
  const Kind row = kind_of(api_version, kind);
  return lines(validate_update(row, defaulted(row, old), defaulted(row, now), subresource));
}

using Lines = std::vector<std::string>;

constexpr std::string_view kPod = R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}})";
constexpr std::string_view kDeployment =
    R"({"metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"app":"web"}},
        "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})";

TEST(Validation, AcceptsWhatIsFine) {
  EXPECT_EQ(created("v1", "Pod", kPod), Lines());
  EXPECT_EQ(created("apps/v1", "Deployment", kDeployment), Lines());
  EXPECT_EQ(
      created("v1", "Service", R"({"metadata":{"name":"s"},"spec":{"ports":[{"port":80}],"selector":{"a":"b"}}})"),
      Lines());
  EXPECT_EQ(created("v1", "Service", R"({"metadata":{"name":"s"},"spec":{"clusterIP":"None"}})"), Lines());
  EXPECT_EQ(updated("v1", "Pod", kPod, kPod), Lines());
  EXPECT_EQ(created("apps/v1", "StatefulSet", R"({"metadata":{"name":"db"},"spec":{"selector":{"matchLabels":{"a":"b"}},
      "serviceName":"db","template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i",
      "volumeMounts":[{"name":"data","mountPath":"/d"}]}]}},"volumeClaimTemplates":[{"metadata":{"name":"data"},
      "spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}]}})"),
            Lines());
  EXPECT_EQ(created("batch/v1", "Job", R"({"metadata":{"name":"j"},"spec":{"selector":{"matchLabels":{"u":"1"}},
      "template":{"metadata":{"labels":{"u":"1"}},"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}})"),
            Lines());
}

TEST(Validation, NamesFollowTheKind) {
  EXPECT_EQ(
      created("v1", "ConfigMap", R"({"metadata":{"name":"Bad_Name"}})"),
      Lines{"metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of lower case "
            "alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. "
            "'example.com', regex used for validation is "
            "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"});
  EXPECT_EQ(created("v1", "ConfigMap", R"({"metadata":{"name":"a.b-c"}})"), Lines());
  EXPECT_EQ(created("v1", "Namespace", R"({"metadata":{"name":"a.b"}})").size(),
            1u);
  EXPECT_EQ(created("v1", "Service", R"({"metadata":{"name":"1a"},"spec":{"ports":[{"port":1}]}})").size(), 1u);
  EXPECT_EQ(created("rbac.authorization.k8s.io/v1", "Role", R"({"metadata":{"name":"system:x"},"rules":[]})"), Lines());
}

TEST(Validation, LabelsAreNamedWithTheReason) {
  const auto found = created("v1", "ConfigMap", R"({"metadata":{"name":"a","labels":{"-x":"y","ok":"a b"}}})");
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found[0].starts_with("metadata.labels: Invalid value: \"-x\": name part must consist of")) << found[0];
  EXPECT_TRUE(found[1].starts_with("metadata.labels: Invalid value: \"a b\": a valid label must be")) << found[1];
}

TEST(Validation, OfPods) {
  EXPECT_EQ(created("v1", "Pod", R"({"metadata":{"name":"p"},"spec":{}})"), Lines{"spec.containers: Required value"});
  EXPECT_EQ(
      created("v1", "Pod", R"({"metadata":{"name":"p"},"spec":{"restartPolicy":"Sometimes","containers":[
      {"name":"c","image":"i"},{"name":"c","image":"","ports":[{"containerPort":70000}],
      "volumeMounts":[{"name":"v","mountPath":"/x"}],"resources":{"requests":{"cpu":"2"},"limits":{"cpu":"1"}},
      "livenessProbe":{}}]}})"),
      (Lines{"spec.containers[1].name: Duplicate value: \"c\"", "spec.containers[1].image: Required value",
             "spec.containers[1].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, "
             "inclusive",
             "spec.containers[1].volumeMounts[0].name: Not found: \"v\"",
             "spec.containers[1].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit "
             "of 1",
             "spec.containers[1].livenessProbe: Required value: must specify a handler type",
             "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", "
             "\"Never\""}));
  EXPECT_EQ(created("v1", "Pod", R"({"metadata":{"name":"p"},"spec":{"volumes":[{"name":"v","emptyDir":{},"hostPath":
      {"path":"/"}}],"containers":[{"name":"c","image":"i","env":[{"name":""}]}]}})"),
            (Lines{"spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
                   "spec.containers[0].env[0].name: Required value"}));
}

TEST(Validation, PodsChangeInFewPlaces) {
  auto changed = [](std::string_view container, std::string_view rest = "") {
    return R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c",)" + std::string(container) + "}]" +
           std::string(rest) + "}}";
  };
  EXPECT_EQ(updated("v1", "Pod", changed(R"("image":"i","imagePullPolicy":"Always")"),
                    changed(R"("image":"j:1","imagePullPolicy":"Always")")),
            Lines());
  EXPECT_EQ(updated("v1", "Pod", kPod, changed(R"("image":"i")", R"(,"tolerations":[{"operator":"Exists"}])")),
            Lines());
  const auto env = updated("v1", "Pod", kPod, changed(R"("image":"i","env":[{"name":"A"}])"));
  ASSERT_EQ(env.size(), 1u);
  EXPECT_TRUE(
      env[0].starts_with("spec: Forbidden: pod updates may not change fields other than "
                         "`spec.containers[*].image`,"))
      << env[0];
  EXPECT_EQ(
      updated("v1", "Pod", kPod, changed(R"("image":"i")", R"(,"ephemeralContainers":[{"name":"d","image":"x"}])"),
              "ephemeralcontainers"),
      Lines());
}

TEST(Validation, OfDeployments) {
  EXPECT_EQ(
      created("apps/v1", "Deployment", R"({"metadata":{"name":"web"},"spec":{"replicas":-1,
      "selector":{"matchLabels":{"app":"web"}},"strategy":{"type":"Recreate","rollingUpdate":{}},
      "template":{"metadata":{"labels":{"app":"other"}},"spec":{"restartPolicy":"Never","containers":[
      {"name":"c","image":"i"}]}}}})"),
      (Lines{"spec.replicas: Invalid value: -1: must be greater than or equal to 0",
             "spec.template.metadata.labels: Invalid value: map[string]string{\"app\":\"other\"}: `selector` does "
             "not match template `labels`",
             "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
             "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"}));
  EXPECT_EQ(created("apps/v1", "Deployment", R"({"metadata":{"name":"web"},"spec":{"template":{"spec":{"containers":[
      {"name":"c","image":"i"}]}}}})"),
            Lines{"spec.selector: Required value"});
  std::string other(kDeployment);
  for (std::size_t at; (at = other.find("\"web\"}")) != other.npos;) other.replace(at, 6, "\"api\"}");
  // The object's own name ends the same way: it is put back.
  other.replace(other.find("\"name\":\"api\""), 12, "\"name\":\"web\"");
  EXPECT_EQ(updated("apps/v1", "Deployment", kDeployment, other),
            Lines{"spec.selector: Invalid value: v1.LabelSelector{MatchLabels:map[string]string{\"app\":\"api\"}, "
                  "MatchExpressions:[]v1.LabelSelectorRequirement(nil)}: field is immutable"});
}

TEST(Validation, OfServices) {
  EXPECT_EQ(created("v1", "Service", R"({"metadata":{"name":"s"},"spec":{"type":"Odd","ports":[{"port":0},
      {"port":80,"nodePort":30000}]}})"),
            (Lines{"spec.type: Unsupported value: \"Odd\": supported values: \"ClusterIP\", \"ExternalName\", "
                   "\"LoadBalancer\", \"NodePort\"",
                   "spec.ports[0].name: Required value",
                   "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                   "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
                   "spec.ports[1].name: Required value"}));
  EXPECT_EQ(created("v1", "Service", R"({"metadata":{"name":"s"},"spec":{}})"), Lines{"spec.ports: Required value"});
  EXPECT_EQ(created("v1", "Service", R"({"metadata":{"name":"s"},"spec":{"type":"LoadBalancer","ports":[{"port":80}],
      "trafficDistribution":"Far","sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":86401}},
      "loadBalancerSourceRanges":["10.0.0.0/8","10.0.0.1","fd00::/8","10.0.0.0/33"]}})"),
            (Lines{"spec.trafficDistribution: Unsupported value: \"Far\": supported values: \"PreferClose\", "
                   "\"PreferSameNode\", \"PreferSameZone\"",
                   "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and "
                   "less than 86400",
                   "spec.LoadBalancerSourceRanges[1]: Invalid value: \"10.0.0.1\": must be a valid CIDR value, (e.g. "
                   "10.9.8.0/24 or 2001:db8::/64)",
                   "spec.LoadBalancerSourceRanges[3]: Invalid value: \"10.0.0.0/33\": must be a valid CIDR value, (e.g. "
                   "10.9.8.0/24 or 2001:db8::/64)"}));
  EXPECT_EQ(created("v1", "Service", R"({"metadata":{"name":"s"},"spec":{"ports":[{"port":80}],
      "loadBalancerSourceRanges":["10.0.0.0/8"]}})"),
            Lines{"spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"});
  EXPECT_EQ(
      updated("v1", "Service", R"({"metadata":{"name":"s"},"spec":{"clusterIP":"10.0.0.1","ports":[{"port":1}]}})",
              R"({"metadata":{"name":"s"},"spec":{"clusterIP":"10.0.0.2","ports":[{"port":1}]}})"),
      Lines{"spec.clusterIPs[0]: Invalid value: []string{\"10.0.0.2\"}: may not change once set"});
}

TEST(Validation, OfTheRest) {
  EXPECT_EQ(created("v1", "ConfigMap", R"({"metadata":{"name":"a"},"data":{"a/b":"x"}})").size(), 1u);
  EXPECT_EQ(updated("v1", "ConfigMap", R"({"metadata":{"name":"a"},"immutable":true,"data":{"a":"x"}})",
                    R"({"metadata":{"name":"a"},"immutable":true,"data":{"a":"y"}})"),
            Lines{"data: Forbidden: field is immutable when `immutable` is set"});
  EXPECT_EQ(created("v1", "Secret", R"({"metadata":{"name":"a"},"type":"kubernetes.io/tls","data":{"tls.crt":""}})"),
            Lines{"data[tls.key]: Required value"});
  EXPECT_EQ(updated("v1", "Secret", R"({"metadata":{"name":"a"}})", R"({"metadata":{"name":"a"},"type":"x"})"),
            Lines{"type: Invalid value: \"x\": field is immutable"});
  EXPECT_EQ(created("rbac.authorization.k8s.io/v1", "Role", R"({"metadata":{"name":"a"},"rules":[{"verbs":[]}]})"),
            (Lines{"rules[0].verbs: Required value: verbs must contain at least one value",
                   "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
                   "rules[0].resources: Required value: resource rules must supply at least one resource"}));
  EXPECT_EQ(updated("rbac.authorization.k8s.io/v1", "RoleBinding",
                    R"({"metadata":{"name":"a"},"roleRef":{"kind":"Role","name":"x"}})",
                    R"({"metadata":{"name":"a"},"roleRef":{"kind":"Role","name":"y"}})"),
            Lines{"roleRef: Invalid value: rbac.RoleRef{APIGroup:\"rbac.authorization.k8s.io\", Kind:\"Role\", "
                  "Name:\"y\"}: cannot change roleRef"});
  EXPECT_EQ(
      created("batch/v1", "CronJob", R"({"metadata":{"name":"c"},"spec":{"schedule":"* * *","jobTemplate":{"spec":{
      "template":{"spec":{"restartPolicy":"OnFailure","containers":[{"name":"c","image":"i"}]}}}}}})"),
      Lines{"spec.schedule: Invalid value: \"* * *\": expected exactly 5 fields, found 3: [* * *]"});
  EXPECT_EQ(created("networking.k8s.io/v1", "Ingress", R"({"metadata":{"name":"i"},"spec":{"rules":[{"http":{"paths":[
      {"path":"x","backend":{"service":{"name":"s","port":{"number":80}}}}]}}]}})"),
            (Lines{"spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
                   "spec.rules[0].http.paths[0].path: Invalid value: \"x\": must be an absolute path"}));
  EXPECT_EQ(
      created("autoscaling/v2", "HorizontalPodAutoscaler",
              R"({"metadata":{"name":"h"},"spec":{"minReplicas":3,"maxReplicas":2,"scaleTargetRef":{"kind":"D"}}})"),
      (Lines{"spec.maxReplicas: Invalid value: 2: must be greater than or equal to `minReplicas`",
             "spec.scaleTargetRef.name: Required value"}));
}

TEST(Validation, InvalidSpeaksLikeTheApiServer) {
  const Kind kind = kind_of("apps/v1", "Deployment");
  const Error one = invalid(kind, "web", {{"spec.x", "FieldValueRequired", "Required value"}});
  EXPECT_EQ(one.message, "Deployment.apps \"web\" is invalid: spec.x: Required value");
  EXPECT_EQ(one.code, Code::kInvalid);
  EXPECT_EQ(one.details, R"({"name":"web","group":"apps","kind":"Deployment","causes":[{"reason":"FieldValueRequired",)"
                         R"("message":"Required value","field":"spec.x"}]})");
  const Error two =
      invalid(kind_of("v1", "Pod"), "p",
              {{"a", "FieldValueRequired", "Required value"}, {"b", "FieldValueForbidden", "Forbidden: no"}});
  EXPECT_EQ(two.message, "Pod \"p\" is invalid: [a: Required value, b: Forbidden: no]");
}

}  // namespace
}  // namespace lab::api
