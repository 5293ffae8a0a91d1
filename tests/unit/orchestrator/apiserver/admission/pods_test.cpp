// What the plugins make of Pods, and when they refuse them.
#include <gtest/gtest.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "tests/unit/orchestrator/apiserver/objects.h"

namespace lab::apiserver::admission {
namespace {

using Function = Result<void> (*)(WriteContext&, const json::Value*, json::Value*);

struct World {
  Objects objects;
  World() {
    objects.put(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"dev"}})");
    objects.put(R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default","namespace":"dev"},
                    "imagePullSecrets":[{"name":"pull"}]})");
  }
  // The refusal, or "".
  std::string create(Function plugin, json::Value& pod, Identity by = admin()) {
    Write w(objects, "v1", "Pod", "dev", "p", "create", "", std::move(by));
    return message(plugin(w.ctx, nullptr, &pod));
  }
};

TEST(ServiceAccount, MountsATokenWhereClientsLook) {
  World w;
  auto pod = js(R"({"spec":{"containers":[{"name":"a"},{"name":"b","volumeMounts":[
      {"name":"mine","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}]}],"initContainers":[{"name":"i"}]}})");
  EXPECT_EQ(w.create(service_account, pod), "");
  EXPECT_EQ(json::str(pod, "spec", "serviceAccountName"), "default");
  EXPECT_EQ(json::str(pod, "spec", "serviceAccount"), "default");
  EXPECT_EQ(json::at(pod, "spec", "imagePullSecrets"), js(R"([{"name":"pull"}])"));
  const auto& volumes = json::list(pod, "spec", "volumes");
  ASSERT_EQ(volumes.size(), 1u);
  std::string name(json::str(volumes[0], "name"));
  EXPECT_TRUE(name.starts_with("kube-api-access-") && name.size() == 21) << name;
  auto expected = js(R"({"defaultMode":420,"sources":[
      {"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},
      {"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},
      {"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"}}]}}]})");
  EXPECT_EQ(json::at(volumes[0], "projected"), expected) << json::dump(volumes[0]);
  auto mount = js(R"({"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount","readOnly":true})");
  json::set(mount, name, "name");
  EXPECT_EQ(json::list(json::list(pod, "spec", "containers")[0], "volumeMounts")[0], mount);
  EXPECT_EQ(json::list(json::list(pod, "spec", "initContainers")[0], "volumeMounts")[0], mount);
  // Whoever mounts something there themselves keeps it.
  EXPECT_EQ(json::list(json::list(pod, "spec", "containers")[1], "volumeMounts").size(), 1u);
}

TEST(ServiceAccount, OptOutAndAbsence) {
  World w;
  auto pod = js(R"({"spec":{"automountServiceAccountToken":false,"containers":[{"name":"a"}]}})");
  EXPECT_EQ(w.create(service_account, pod), "");
  EXPECT_TRUE(json::list(pod, "spec", "volumes").empty());
  w.objects.put(
      R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"quiet","namespace":"dev"},"automountServiceAccountToken":false})");
  pod = js(R"({"spec":{"serviceAccountName":"quiet","containers":[{"name":"a"}]}})");
  EXPECT_EQ(w.create(service_account, pod), "");
  EXPECT_TRUE(json::list(pod, "spec", "volumes").empty());
  pod = js(R"({"spec":{"serviceAccountName":"nobody","containers":[]}})");
  EXPECT_EQ(
      w.create(service_account, pod),
      "pods \"p\" is forbidden: error looking up service account dev/nobody: serviceaccount \"nobody\" not found");
}

TEST(Namespaces, AbsentTerminatingImmortal) {
  World w;
  Write absent(w.objects, "v1", "ConfigMap", "nowhere", "c");
  json::Value object = js("{}");
  auto r = namespace_lifecycle(absent.ctx, nullptr, &object);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kNotFound);
  EXPECT_EQ(r.error().message, "namespaces \"nowhere\" not found");
  w.objects.put(
      R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"dev","deletionTimestamp":"2026-01-01T00:00:00Z"}})");
  Write late(w.objects, "v1", "ConfigMap", "dev", "c");
  r = namespace_lifecycle(late.ctx, nullptr, &object);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kForbidden);
  EXPECT_EQ(
      r.error().message,
      "configmaps \"c\" is forbidden: unable to create new content in namespace dev because it is being terminated");
  EXPECT_EQ(json::str(json::list(js(r.error().details), "causes")[0], "reason"), "NamespaceTerminating");
  for (const char* verb : {"update", "patch", "delete"}) {
    Write change(w.objects, "v1", "ConfigMap", "dev", "c", verb);
    EXPECT_TRUE(namespace_lifecycle(change.ctx, &object, &object)) << verb;
  }
  Write system(w.objects, "v1", "Namespace", "", "kube-system", "delete");
  EXPECT_EQ(message(namespace_lifecycle(system.ctx, &object, nullptr)),
            "namespaces \"kube-system\" is forbidden: this namespace may not be deleted");
  Write other(w.objects, "v1", "Namespace", "", "dev", "delete");
  EXPECT_TRUE(namespace_lifecycle(other.ctx, &object, nullptr));
}

TEST(Priority, ResolvesNamesAndRefusesNumbers) {
  World w;
  auto pod = js(R"({"spec":{}})");
  EXPECT_EQ(w.create(priority, pod), "");
  EXPECT_EQ(json::num(pod, "spec", "priority"), 0);
  EXPECT_EQ(json::str(pod, "spec", "preemptionPolicy"), "PreemptLowerPriority");
  w.objects.put(
      R"({"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"high"},"value":1000,"preemptionPolicy":"Never"})");
  w.objects.put(
      R"({"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"usual"},"value":7,"globalDefault":true})");
  pod = js(R"({"spec":{"priorityClassName":"high"}})");
  EXPECT_EQ(w.create(priority, pod), "");
  EXPECT_EQ(json::num(pod, "spec", "priority"), 1000);
  EXPECT_EQ(json::str(pod, "spec", "preemptionPolicy"), "Never");
  pod = js(R"({"spec":{}})");
  EXPECT_EQ(w.create(priority, pod), "");
  EXPECT_EQ(json::num(pod, "spec", "priority"), 7);
  EXPECT_EQ(json::str(pod, "spec", "priorityClassName"), "usual");
  pod = js(R"({"spec":{"priorityClassName":"none"}})");
  EXPECT_EQ(w.create(priority, pod), "pods \"p\" is forbidden: no PriorityClass with name none was found");
  pod = js(R"({"spec":{"priorityClassName":"high","priority":5}})");
  EXPECT_NE(w.create(priority, pod).find("the integer value of priority (5) must not be provided"), std::string::npos);
}

TEST(Tolerations, FailuresOfTheNode) {
  World w;
  auto pod = js(
      R"({"spec":{"tolerations":[{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":5}]}})");
  EXPECT_EQ(w.create(default_toleration_seconds, pod), "");
  EXPECT_EQ(
      json::at(pod, "spec", "tolerations"),
      js(R"([{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":5},
                   {"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}])"));
  auto all = js(R"({"spec":{"tolerations":[{"operator":"Exists"}]}})");
  EXPECT_EQ(w.create(default_toleration_seconds, all), "");
  EXPECT_EQ(json::list(all, "spec", "tolerations").size(), 1u);
}

TEST(RuntimeClass, OverheadAndAbsence) {
  World w;
  auto pod = js(R"({"spec":{"runtimeClassName":"kata"}})");
  EXPECT_EQ(w.create(runtime_class, pod), "pods \"p\" is forbidden: pod rejected: RuntimeClass \"kata\" not found");
  w.objects.put(R"({"apiVersion":"node.k8s.io/v1","kind":"RuntimeClass","metadata":{"name":"kata"},"handler":"kata",
      "overhead":{"podFixed":{"memory":"120Mi"}},"scheduling":{"nodeSelector":{"kata":"yes"},"tolerations":[{"key":"kata"}]}})");
  EXPECT_EQ(w.create(runtime_class, pod), "");
  EXPECT_EQ(json::str(pod, "spec", "overhead", "memory"), "120Mi");
  EXPECT_EQ(json::str(pod, "spec", "nodeSelector", "kata"), "yes");
  EXPECT_EQ(json::list(pod, "spec", "tolerations").size(), 1u);
}

TEST(Nodes, StartTainted) {
  Objects objects;
  Write w(objects, "v1", "Node", "", "n1");
  auto n = js(R"({"metadata":{"name":"n1"}})");
  ASSERT_TRUE(taint_nodes_by_condition(w.ctx, nullptr, &n));
  ASSERT_TRUE(taint_nodes_by_condition(w.ctx, nullptr, &n));
  EXPECT_EQ(json::at(n, "spec", "taints"), js(R"([{"effect":"NoSchedule","key":"node.kubernetes.io/not-ready"}])"));
}

TEST(Volumes, ClassesAndProtection) {
  Objects objects;
  objects.put(R"({"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{"name":"fast","annotations":{
      "storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"x"})");
  Write w(objects, "v1", "PersistentVolumeClaim", "dev", "c");
  auto claim = js(R"({"spec":{}})");
  ASSERT_TRUE(default_storage_class(w.ctx, nullptr, &claim));
  ASSERT_TRUE(storage_object_in_use(w.ctx, nullptr, &claim));
  EXPECT_EQ(json::str(claim, "spec", "storageClassName"), "fast");
  EXPECT_EQ(json::at(claim, "metadata", "finalizers"), js(R"(["kubernetes.io/pvc-protection"])"));
  auto none = js(R"({"spec":{"storageClassName":""}})");
  ASSERT_TRUE(default_storage_class(w.ctx, nullptr, &none));
  EXPECT_EQ(json::str(none, "spec", "storageClassName"), "");
}

TEST(LimitRanger, DefaultsAndBounds) {
  World w;
  w.objects.put(R"({"apiVersion":"v1","kind":"LimitRange","metadata":{"name":"l","namespace":"dev"},"spec":{"limits":[
      {"type":"Container","default":{"cpu":"500m"},"defaultRequest":{"cpu":"100m"},"max":{"cpu":"1"},"min":{"cpu":"50m"}},
      {"type":"Pod","max":{"cpu":"1500m"}}]}})");
  auto pod = js(R"({"spec":{"containers":[{"name":"a"}]}})");
  EXPECT_EQ(w.create(limit_ranger, pod), "");
  EXPECT_EQ(json::at(pod, "spec", "containers"),
            js(R"([{"name":"a","resources":{"requests":{"cpu":"100m"},"limits":{"cpu":"500m"}}}])"));
  pod = js(R"({"spec":{"containers":[{"name":"a","resources":{"limits":{"cpu":"2"}}}]}})");
  EXPECT_EQ(w.create(limit_ranger, pod),
            "pods \"p\" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, maximum cpu usage per Pod "
            "is 1500m, but "
            "limit is 2]");
  pod = js(R"({"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"10m"}}}]}})");
  EXPECT_EQ(w.create(limit_ranger, pod),
            "pods \"p\" is forbidden: minimum cpu usage per Container is 50m, but request is 10m");
}

}  // namespace
}  // namespace lab::apiserver::admission
