// Claims and volumes: who is bound to whom, what is made, what is protected.
#include "cluster.h"
#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/persistent_volume.h"

namespace lab::controllers {
namespace {

namespace res = client::res;

constexpr client::Resource kClasses{"storage.k8s.io", "v1", "storageclasses", "StorageClass", false};

json::Value volume(const std::string& name, const std::string& size, const std::string& more = "") {
  return parse(R"({"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":")" + name +
               R"("},"spec":{"accessModes":["ReadWriteOnce"],"capacity":{"storage":")" + size + R"("},)" + more +
               R"("hostPath":{"path":"/tmp/)" + name + R"("}}})");
}

json::Value claim(const std::string& name, const std::string& size, const std::string& more = "") {
  return parse(R"({"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":")" + name +
               R"("},"spec":{"accessModes":["ReadWriteOnce"],)" + more + R"("resources":{"requests":{"storage":")" +
               size + R"("}}}})");
}

class VolumesTest : public ControllersTest {
 protected:
  Task<bool> until_phase(client::Resource r, std::string ns, std::string name, std::string phase) {
    auto holds = [this, r, ns, name, phase]() -> Task<bool> {
      co_return json::str(co_await get(r, ns, name), "status", "phase") == phase;
    };
    bool done = co_await until(holds);
    if (!done) ADD_FAILURE() << name << " is not " << phase << ": " << json::dump(co_await get(r, ns, name));
    co_return done;
  }
};

TEST(VolumeFits, ByClassModesSizeSelectorAndPromise) {
  auto v = volume("v", "2Gi", R"("storageClassName":"slow",)");
  EXPECT_TRUE(volume_fits(v, claim("c", "1Gi", R"("storageClassName":"slow",)")));
  EXPECT_FALSE(volume_fits(v, claim("c", "3Gi", R"("storageClassName":"slow",)")));
  EXPECT_FALSE(volume_fits(v, claim("c", "1Gi")));
  EXPECT_FALSE(volume_fits(v, claim("c", "1Gi", R"("storageClassName":"slow","volumeMode":"Block",)")));
  EXPECT_FALSE(volume_fits(v, claim("c", "1Gi", R"("storageClassName":"slow","selector":{"matchLabels":{"a":"b"}},)")));
  auto many = claim("c", "1Gi", R"("storageClassName":"slow",)");
  json::set(many, json::Array{json::Value("ReadWriteMany")}, "spec", "accessModes");
  EXPECT_FALSE(volume_fits(v, many));
  json::set(v, json::Object{{"namespace", "default"}, {"name", "other"}}, "spec", "claimRef");
  EXPECT_FALSE(volume_fits(v, claim("c", "1Gi", R"("storageClassName":"slow",)")));
}

TEST_F(VolumesTest, AClaimGetsTheSmallestVolumeThatFitsAndGivesItBack) {
  auto body = [this]() -> Task<void> {
    co_await create(res::persistentvolumes, "", volume("big", "10Gi"));
    co_await create(res::persistentvolumes, "", volume("fits", "2Gi"));
    co_await create(res::persistentvolumes, "", volume("small", "1Mi"));
    EXPECT_TRUE(co_await until_phase(res::persistentvolumes, "", "fits", "Available"));
    co_await create(res::persistentvolumeclaims, "default", claim("data", "1Gi", R"("storageClassName":"",)"));
    EXPECT_TRUE(co_await until_phase(res::persistentvolumeclaims, "default", "data", "Bound"));
    auto bound = co_await get(res::persistentvolumeclaims, "default", "data");
    EXPECT_EQ(json::str(bound, "spec", "volumeName"), "fits");
    EXPECT_EQ(json::str(bound, "status", "capacity", "storage"), "2Gi");
    EXPECT_TRUE(co_await until_phase(res::persistentvolumes, "", "fits", "Bound"));
    // What a pod uses stays until the pod has ended.
    co_await create(res::pods, "default", parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"user"},
      "spec":{"containers":[{"name":"c","image":"i"}],"volumes":[{"name":"v",
      "persistentVolumeClaim":{"claimName":"data"}}]}})"));
    auto running = [this]() -> Task<bool> { co_return pod_ready(co_await get(res::pods, "default", "user")); };
    EXPECT_TRUE(co_await until(running));
    EXPECT_TRUE(co_await client_->remove(res::persistentvolumeclaims, "default", "data"));
    EXPECT_TRUE(co_await client_->remove(res::persistentvolumes, "", "fits"));
    co_await sleep_for(std::chrono::milliseconds(200));
    EXPECT_TRUE(is_terminating(co_await get(res::persistentvolumeclaims, "default", "data")));
    EXPECT_TRUE(is_terminating(co_await get(res::persistentvolumes, "", "fits")));
    EXPECT_TRUE(co_await client_->remove(res::pods, "default", "user"));
    EXPECT_TRUE(co_await until_gone(res::persistentvolumeclaims, "default", "data"));
    EXPECT_TRUE(co_await until_gone(res::persistentvolumes, "", "fits"));
  };
  run(body);
}

TEST_F(VolumesTest, AVolumeWhoseClaimIsGoneIsReleased) {
  auto body = [this]() -> Task<void> {
    co_await create(res::persistentvolumes, "", volume("kept", "1Gi"));
    co_await create(res::persistentvolumeclaims, "default",
                    claim("data", "1Gi", R"("storageClassName":"","volumeName":"kept",)"));
    EXPECT_TRUE(co_await until_phase(res::persistentvolumeclaims, "default", "data", "Bound"));
    EXPECT_TRUE(co_await client_->remove(res::persistentvolumeclaims, "default", "data"));
    EXPECT_TRUE(co_await until_phase(res::persistentvolumes, "", "kept", "Released"));
    // Its data are the old claim's: nobody else gets it.
    co_await create(res::persistentvolumeclaims, "default", claim("next", "1Gi", R"("storageClassName":"",)"));
    EXPECT_TRUE(co_await until_phase(res::persistentvolumeclaims, "default", "next", "Pending"));
  };
  run(body);
}

TEST_F(VolumesTest, DirectoriesAreMadeWhereThePodWillRun) {
  auto body = [this]() -> Task<void> {
    co_await create(kClasses, "", parse(R"({"apiVersion":"storage.k8s.io/v1","kind":"StorageClass","metadata":{
      "name":"local"},"provisioner":"lab.local/directory","volumeBindingMode":"WaitForFirstConsumer"})"));
    co_await create(res::persistentvolumeclaims, "default", claim("data", "1Gi", R"("storageClassName":"local",)"));
    EXPECT_TRUE(co_await until_phase(res::persistentvolumeclaims, "default", "data", "Pending"));
    EXPECT_TRUE((co_await list(res::persistentvolumes, "")).empty());
    co_await patch(res::persistentvolumeclaims, "default", "data",
                   R"({"metadata":{"annotations":{"volume.kubernetes.io/selected-node":"n7"}}})");
    EXPECT_TRUE(co_await until_phase(res::persistentvolumeclaims, "default", "data", "Bound"));
    auto volumes = co_await list(res::persistentvolumes, "");
    EXPECT_EQ(volumes.size(), 1u);
    if (volumes.size() != 1) co_return;
    EXPECT_NE(json::dump(json::at(volumes[0], "spec", "nodeAffinity")).find("n7"), std::string::npos);
    // Its class says Delete.
    EXPECT_TRUE(co_await client_->remove(res::persistentvolumeclaims, "default", "data"));
    EXPECT_TRUE(co_await until_gone(res::persistentvolumes, "", name_of(volumes[0])));
  };
  run(body);
}

TEST_F(VolumesTest, EphemeralClaimsComeAndGoWithTheirPod) {
  auto body = [this]() -> Task<void> {
    co_await create(res::pods, "default", parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},
      "spec":{"containers":[{"name":"c","image":"i"}],"volumes":[{"name":"scratch","ephemeral":{"volumeClaimTemplate":{
      "spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Mi"}}}}}}]}})"));
    auto there = [this]() -> Task<bool> {
      co_return !(co_await get(res::persistentvolumeclaims, "default", "p-scratch")).is_null();
    };
    EXPECT_TRUE(co_await until(there));
    EXPECT_TRUE(co_await client_->remove(res::pods, "default", "p"));
    EXPECT_TRUE(co_await until_gone(res::persistentvolumeclaims, "default", "p-scratch"));
  };
  run(body);
}

}  // namespace
}  // namespace lab::controllers
