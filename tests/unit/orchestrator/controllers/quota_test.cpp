// What a ResourceQuota shows as used.
#include "cluster.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {
namespace {

namespace res = client::res;

constexpr client::Resource kQuotas{"", "v1", "resourcequotas", "ResourceQuota"};

class QuotaTest : public ControllersTest {
 protected:
  Task<bool> until_used(std::string quota, std::string what, std::string amount) {
    auto holds = [this, quota, what, amount]() -> Task<bool> {
      co_return json::str(co_await get(kQuotas, "default", quota), "status", "used", what) == amount;
    };
    bool done = co_await until(holds);
    if (!done) ADD_FAILURE() << what << ": " << json::dump(json::at(co_await get(kQuotas, "default", quota), "status"));
    co_return done;
  }
};

json::Value pod(const std::string& name, const std::string& more = "") {
  return parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name + R"("},"spec":{)" + more +
               R"("containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"250m","memory":"64Mi",
               "example.com/dongle":"1"},"limits":{"example.com/dongle":"1"}}}]}})");
}

TEST_F(QuotaTest, UsageFollowsWhatComesAndGoes) {
  auto body = [this]() -> Task<void> {
    co_await create(kQuotas, "default", parse(R"({"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"all"},
      "spec":{"hard":{"pods":"5","requests.cpu":"2","memory":"1Gi","requests.example.com/dongle":"3","services":"3",
      "services.nodeports":"2","resourcequotas":"2","count/deployments.apps":"4","count/nothing.example.com":"1"}}})"));
    EXPECT_TRUE(co_await until_used("all", "resourcequotas", "1"));
    EXPECT_TRUE(co_await until_used("all", "count/nothing.example.com", "0"));
    co_await create(res::pods, "default", pod("a"));
    co_await create(res::pods, "default", pod("b"));
    EXPECT_TRUE(co_await until_used("all", "pods", "2"));
    EXPECT_TRUE(co_await until_used("all", "requests.cpu", "500m"));
    EXPECT_TRUE(co_await until_used("all", "memory", "128Mi"));
    EXPECT_TRUE(co_await until_used("all", "requests.example.com/dongle", "2"));
    co_await create(res::services, "default", parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},
      "spec":{"type":"NodePort","ports":[{"port":80}]}})"));
    EXPECT_TRUE(co_await until_used("all", "services.nodeports", "1"));
    co_await patch(res::services, "default", "s",
                   R"({"spec":{"type":"ClusterIP","ports":[{"port":80,"nodePort":null}]}})");
    EXPECT_TRUE(co_await until_used("all", "services.nodeports", "0"));
    client::DeleteOptions now;
    now.grace_seconds = 0;
    EXPECT_TRUE(co_await client_->remove(res::pods, "default", "a", now));
    EXPECT_TRUE(co_await until_used("all", "pods", "1"));
    // The status is nobody else's to say.
    auto wrong = client_->patch(kQuotas, "default", "all", client::PatchType::kMerge,
                                parse(R"({"status":{"used":{"pods":"4"}}})"), "status");
    EXPECT_TRUE(co_await std::move(wrong));
    EXPECT_TRUE(co_await until_used("all", "pods", "1"));
  };
  run(body);
}

TEST_F(QuotaTest, KindsThatNobodyWatchedAreCountedFromTheirFirstQuota) {
  auto body = [this]() -> Task<void> {
    co_await create(res::configmaps, "default",
                    parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"}})"));
    auto before = std::ssize(co_await list(res::configmaps, "default"));
    co_await create(kQuotas, "default", parse(R"({"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},
      "spec":{"hard":{"configmaps":"9","count/leases.coordination.k8s.io":"9"}}})"));
    EXPECT_TRUE(co_await until_used("q", "configmaps", std::to_string(before)));
    co_await create(res::leases, "default", parse(R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease",
      "metadata":{"name":"l"}})"));
    EXPECT_TRUE(co_await until_used("q", "count/leases.coordination.k8s.io", "1"));
    EXPECT_TRUE(co_await client_->remove(res::configmaps, "default", "m"));
    EXPECT_TRUE(co_await until_used("q", "configmaps", std::to_string(before - 1)));
  };
  run(body);
}

TEST_F(QuotaTest, ScopesChooseThePods) {
  auto body = [this]() -> Task<void> {
    for (const char* scope : {"Terminating", "NotTerminating", "BestEffort"})
      co_await create(
          kQuotas, "default",
          parse(std::string(R"({"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q-)") +
                char(std::tolower(scope[0])) + R"("},"spec":{"hard":{"pods":"9"},"scopes":[")" + scope + R"("]}})"));
    co_await create(res::pods, "default", pod("short", R"("activeDeadlineSeconds":3600,)"));
    EXPECT_TRUE(co_await until_used("q-t", "pods", "1"));
    EXPECT_TRUE(co_await until_used("q-n", "pods", "0"));
    co_await create(res::pods, "default", parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"idle"},
      "spec":{"containers":[{"name":"c","image":"i"}]}})"));
    EXPECT_TRUE(co_await until_used("q-b", "pods", "1"));
    EXPECT_TRUE(co_await until_used("q-n", "pods", "1"));
  };
  run(body);
}

}  // namespace
}  // namespace lab::controllers
