// Nodes: pod networks, silence, eviction, DaemonSets, and the certificates they ask for.
#include "base/crypto/encoding.h"
#include "cluster.h"
#include "orchestrator/api/time.h"
#include "orchestrator/controllers/bootstrap_token.h"
#include "orchestrator/controllers/csr.h"
#include "orchestrator/controllers/objects.h"
#include "orchestrator/controllers/revision_history.h"
#include "pki/bootstrap_token.h"
#include "pki/csr.h"

namespace lab::controllers {
namespace {

namespace res = client::res;
using std::chrono::milliseconds;

using NodesTest = ControllersTest;

TEST_F(NodesTest, EveryNodeGetsItsOwnNetwork) {
  options.cluster_cidrs = {"10.244.0.0/16"};
  auto body = [this]() -> Task<void> {
    for (int i = 0; i < 20; ++i) co_await add_node("n" + std::to_string(i));
    std::set<std::string> cidrs;
    auto all = [&]() -> Task<bool> {
      cidrs.clear();
      for (auto& node : co_await list(res::nodes, ""))
        if (auto cidr = json::str(node, "spec", "podCIDR"); !cidr.empty()) cidrs.emplace(cidr);
      co_return cidrs.size() == 20;
    };
    EXPECT_TRUE(co_await until(all));
    EXPECT_TRUE(cidrs.contains("10.244.0.0/24"));
    EXPECT_TRUE(cidrs.contains("10.244.19.0/24"));
    EXPECT_TRUE(co_await client_->remove(res::nodes, "", "n7"));
    co_await add_node("late");
    auto reused = [this]() -> Task<bool> {
      co_return !json::str(co_await get(res::nodes, "", "late"), "spec", "podCIDR").empty();
    };
    EXPECT_TRUE(co_await until(reused));
  };
  run(body);
}

TEST_F(NodesTest, ASilentNodeIsTaintedItsPodsEvictedAndItComesBack) {
  options.node_monitor_grace = milliseconds(1500);
  options.node_monitor_period = milliseconds(200);
  auto body = [this]() -> Task<void> {
    co_await ensure_namespace("kube-node-lease");
    nodes_->names = {"silent"};
    co_await add_node("silent");
    co_await add_node("alive");
    json::Value lease = parse(R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"alive"},
                                 "spec":{"holderIdentity":"alive"}})");
    co_await create(res::leases, "kube-node-lease", lease);
    Scope beat(*Loop::current());
    bool silent_too = false;
    beat.spawn("beat", [&]() -> Task<void> {
      while (co_await sleep_for(milliseconds(200), beat.token())) {
        json::Value renew;
        json::set(renew, api::format_micro_time(Loop::current()->wall()), "spec", "renewTime");
        (void)co_await client_->patch(res::leases, "kube-node-lease", "alive", client::PatchType::kMerge, renew);
        if (!silent_too) continue;
        auto node = co_await get(res::nodes, "", "silent");
        json::set(node,
                  json::Array{json::Object{{"type", "Ready"},
                                           {"status", "True"},
                                           {"lastHeartbeatTime", api::format_time(Loop::current()->wall())}}},
                  "status", "conditions");
        (void)co_await client_->update_status(res::nodes, "", std::move(node));
      }
    });
    co_await create(res::pods, "default",
                    parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"short"},"spec":{"containers":[
      {"name":"c","image":"i"}],"tolerations":[{"key":"node.kubernetes.io/unreachable","operator":"Exists",
      "effect":"NoExecute","tolerationSeconds":1}]}})"));
    co_await create(res::pods, "default",
                    parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"patient"},"spec":{"containers":[
      {"name":"c","image":"i"}],"tolerations":[{"key":"node.kubernetes.io/unreachable","operator":"Exists",
      "effect":"NoExecute"}]}})"));
    auto unknown = [this]() -> Task<bool> {
      auto node = co_await get(res::nodes, "", "silent");
      co_return condition_is(node, "Ready", "Unknown") && json::list(node, "spec", "taints").size() == 2;
    };
    EXPECT_TRUE(co_await until(unknown));
    EXPECT_TRUE(condition_is(co_await get(res::nodes, "", "alive"), "Ready", "True"));
    EXPECT_TRUE(co_await until_gone(res::pods, "default", "short"));
    auto patient = co_await get(res::pods, "default", "patient");
    EXPECT_FALSE(is_terminating(patient));
    EXPECT_FALSE(pod_ready(patient));
    silent_too = true;
    auto healed = [this]() -> Task<bool> {
      co_return json::list(co_await get(res::nodes, "", "silent"), "spec", "taints").empty();
    };
    EXPECT_TRUE(co_await until(healed));
    co_await beat.close();
  };
  run(body);
}

// A paused lab: controllers and nodes stand still together, and go on together.
TEST_F(NodesTest, TimeInWhichTheControllersStoodStillIsNobodysSilence) {
  options.node_monitor_grace = std::chrono::seconds(3);
  options.node_monitor_period = milliseconds(200);
  auto body = [this]() -> Task<void> {
    co_await ensure_namespace("kube-node-lease");
    co_await add_node("alive");
    json::Value lease = parse(R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"alive"},
                                 "spec":{"holderIdentity":"alive"}})");
    json::set(lease, api::format_micro_time(Loop::current()->wall()), "spec", "renewTime");
    co_await create(res::leases, "kube-node-lease", lease);
    co_await sleep_for(milliseconds(600));  // the controller has had its turn
    std::this_thread::sleep_for(std::chrono::seconds(4));
    co_await sleep_for(milliseconds(600));  // and again, before the node is heard
    auto node = co_await get(res::nodes, "", "alive");
    EXPECT_TRUE(condition_is(node, "Ready", "True")) << json::dump(json::at(node, "status", "conditions"));
    EXPECT_TRUE(json::list(node, "spec", "taints").empty());
    auto lost = [this]() -> Task<bool> { co_return condition_is(co_await get(res::nodes, "", "alive"), "Ready", "Unknown"); };
    EXPECT_TRUE(co_await until(lost)) << "one that stays silent is lost all the same";
  };
  run(body);
}

TEST_F(NodesTest, DaemonsRunOnEveryFittingNodeAndRoll) {
  auto body = [this]() -> Task<void> {
    co_await add_node("a");
    co_await add_node("b");
    co_await add_node("c", R"({"skip":"yes"})");
    co_await create(res::daemonsets, "default",
                    parse(R"({"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"ds"},"spec":{
      "selector":{"matchLabels":{"app":"ds"}},"template":{"metadata":{"labels":{"app":"ds"}},"spec":{
      "affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[
        {"matchExpressions":[{"key":"skip","operator":"DoesNotExist"}]}]}}},
      "containers":[{"name":"c","image":"i:1"}]}}}})"));
    EXPECT_TRUE(co_await until_status(res::daemonsets, "ds", "numberAvailable", 2));
    std::set<std::string> on;
    for (auto& pod : co_await list(res::pods, "default")) on.emplace(json::str(pod, "spec", "nodeName"));
    EXPECT_EQ(on, (std::set<std::string>{"a", "b"}));
    co_await add_node("d");
    EXPECT_TRUE(co_await until_status(res::daemonsets, "ds", "numberAvailable", 3));

    co_await patch(res::daemonsets, "default", "ds",
                   R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"i:2"}]}}}})");
    EXPECT_TRUE(co_await until_status(res::daemonsets, "ds", "updatedNumberScheduled", 3));
    for (auto& pod : co_await list(res::pods, "default"))
      EXPECT_EQ(json::str(json::list(pod, "spec", "containers")[0], "image"), "i:2");
    auto revisions = co_await list(res::controllerrevisions, "default");
    EXPECT_EQ(revisions.size(), 2u);

    EXPECT_TRUE(co_await client_->remove(res::nodes, "", "a"));
    EXPECT_TRUE(co_await until_status(res::daemonsets, "ds", "desiredNumberScheduled", 2));
  };
  run(body);
}

json::Value csr(const std::string& name, const std::string& signer, const std::string& purpose,
                const pki::CertificateSpec& spec) {
  auto key = pki::PrivateKey::generate();
  return json::Object{{"apiVersion", "certificates.k8s.io/v1"},
                      {"kind", "CertificateSigningRequest"},
                      {"metadata", json::Object{{"name", name}}},
                      {"spec", json::Object{{"request", crypto::base64_encode(pki::make_csr(key, spec))},
                                            {"signerName", signer},
                                            {"usages", json::Array{"digital signature", json::Value(purpose)}}}}};
}

TEST_F(NodesTest, KubeletsGetTheirCertificatesAndNoOthers) {
  auto authority = pki::Authority::create("ca", std::chrono::hours(24), pki::KeyAlgorithm::kEcdsaP256);
  options.sign_certificate = [&](const std::string& pem, const std::string& signer, std::chrono::seconds validity) {
    return authority.sign_request(pem, signer == kServingSigner, signer != kServingSigner, validity);
  };
  auto body = [&]() -> Task<void> {
    apiserver::Identity joiner{"system:bootstrap:abcdef", "", {"system:bootstrappers", "system:authenticated"}, {}};
    apiserver::Identity node{"system:node:n1", "", {"system:nodes", "system:authenticated"}, {}};
    client::Client as_joiner(server_->in_process(joiner, *Loop::current()));
    client::Client as_node(server_->in_process(node, *Loop::current()));
    pki::CertificateSpec subject;
    subject.common_name = "system:node:n1";
    subject.organizations = {"system:nodes"};
    auto signed_with = [this](std::string name) -> Task<std::string> {
      std::string chain;
      auto done = [&]() -> Task<bool> {
        auto got = co_await get(res::certificatesigningrequests, "", name);
        chain = crypto::base64_decode(json::str(got, "status", "certificate")).value_or("");
        co_return !chain.empty();
      };
      EXPECT_TRUE(co_await until(done)) << name;
      co_return chain;
    };
    EXPECT_TRUE(co_await as_joiner.create(res::certificatesigningrequests, "",
                                          csr("join", kClientKubeletSigner, "client auth", subject)));
    auto chain = co_await signed_with("join");
    auto info = pki::inspect(chain);
    EXPECT_TRUE(info && info->common_name == "system:node:n1" && info->client_auth && !info->server_auth);
    EXPECT_TRUE(pki::signed_by(chain, authority.certificate_pem()));

    co_await add_node("n1");
    auto report = [this]() -> Task<bool> {
      auto object = co_await get(res::nodes, "", "n1");
      json::set(object, json::Array{json::Object{{"type", "InternalIP"}, {"address", "192.0.2.1"}}}, "status",
                "addresses");
      co_return (co_await client_->update_status(res::nodes, "", std::move(object))).has_value();
    };
    EXPECT_TRUE(co_await until(report));
    auto serving = subject;
    serving.dns_names = {"n1"};
    serving.addresses = {"192.0.2.1"};
    EXPECT_TRUE(co_await as_node.create(res::certificatesigningrequests, "",
                                        csr("serve", kServingSigner, "server auth", serving)));
    chain = co_await signed_with("serve");
    info = pki::inspect(chain);
    EXPECT_TRUE(info && info->server_auth);

    // Somebody else's address, and a subject that is no node: both stay pending.
    auto forged = serving;
    forged.addresses = {"10.96.0.1"};
    EXPECT_TRUE(co_await as_node.create(res::certificatesigningrequests, "",
                                        csr("forged", kServingSigner, "server auth", forged)));
    pki::CertificateSpec boss;
    boss.common_name = "boss";
    boss.organizations = {"system:masters"};
    EXPECT_TRUE(co_await as_joiner.create(res::certificatesigningrequests, "",
                                          csr("boss", kClientKubeletSigner, "client auth", boss)));
    EXPECT_TRUE(co_await as_node.create(res::certificatesigningrequests, "",
                                        csr("renew", kClientKubeletSigner, "client auth", subject)));
    EXPECT_FALSE((co_await signed_with("renew")).empty());  // later than the two, and done
    for (std::string name : {"forged", "boss"}) {
      auto pending = co_await get(res::certificatesigningrequests, "", name);
      EXPECT_TRUE(json::list(pending, "status", "conditions").empty()) << name;
    }
  };
  run(body);
}

TEST_F(NodesTest, ClusterInfoIsSignedForEveryTokenAndExpiredTokensGo) {
  auto body = [this]() -> Task<void> {
    for (std::string ns : {"kube-system", "kube-public"}) co_await ensure_namespace(ns);
    auto token = pki::BootstrapToken::generate();
    auto secret = [](const pki::BootstrapToken& t, std::string expiration) {
      return json::Value(json::Object{{"apiVersion", "v1"},
                                      {"kind", "Secret"},
                                      {"type", "bootstrap.kubernetes.io/token"},
                                      {"metadata", json::Object{{"name", "bootstrap-token-" + t.id}}},
                                      {"stringData", json::Object{{"token-id", t.id},
                                                                  {"token-secret", t.secret},
                                                                  {"usage-bootstrap-signing", "true"},
                                                                  {"expiration", expiration}}}});
    };
    co_await create(res::secrets, "kube-system", secret(token, "2099-01-01T00:00:00Z"));
    co_await create(res::configmaps, "kube-public",
                    parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"cluster-info"},
                             "data":{"kubeconfig":"apiVersion: v1\n"}})"));
    std::string field = "jws-kubeconfig-" + token.id;
    auto is_signed = [&]() -> Task<bool> {
      auto info = co_await get(res::configmaps, "kube-public", "cluster-info");
      co_return pki::verify_cluster_info("apiVersion: v1\n", json::str(info, "data", field), token);
    };
    EXPECT_TRUE(co_await until(is_signed));
    auto soon = pki::BootstrapToken::generate();
    co_await create(res::secrets, "kube-system",
                    secret(soon, api::format_time(Loop::current()->wall() + std::chrono::seconds(2))));
    EXPECT_TRUE(co_await until_gone(res::secrets, "kube-system", "bootstrap-token-" + soon.id));
    auto told = co_await get(res::configmaps, "kube-public", "cluster-info");
    auto expired = pki::expired_token_time(json::str(told, "metadata", "annotations", pki::kExpiredTokensAnnotation), soon.id);
    auto since = api::parse_time(expired);
    EXPECT_TRUE(since && *since <= Loop::current()->wall()) << expired;
    EXPECT_TRUE(co_await is_signed()) << "the other token is as good as before";
    EXPECT_TRUE(co_await client_->remove(res::secrets, "kube-system", "bootstrap-token-" + token.id));
    auto unsigned_again = [&]() -> Task<bool> {
      auto info = co_await get(res::configmaps, "kube-public", "cluster-info");
      co_return !json::has(info, "data", field) && json::has(info, "data", "kubeconfig");
    };
    EXPECT_TRUE(co_await until(unsigned_again));
  };
  run(body);
}

TEST_F(NodesTest, PodsOfVanishedNodesAreCollected) {
  options.pod_gc_period = milliseconds(100);
  options.pod_gc_quarantine = milliseconds(200);
  auto body = [this]() -> Task<void> {
    co_await add_node("n1");
    co_await create(res::deployments, "default", deployment("web", 2, "img"));
    EXPECT_TRUE(co_await until_status(res::deployments, "web", "availableReplicas", 2));
    std::set<std::string> before;
    for (auto& pod : co_await list(res::pods, "default")) before.insert(uid_of(pod));
    nodes_->stopped = true;
    EXPECT_TRUE(co_await client_->remove(res::nodes, "", "n1"));
    auto replaced = [&]() -> Task<bool> {
      auto pods = co_await list(res::pods, "default");
      std::size_t fresh = 0;
      for (auto& pod : pods) fresh += !before.contains(uid_of(pod));
      co_return pods.size() == 2 && fresh == 2;
    };
    EXPECT_TRUE(co_await until(replaced));
  };
  run(body);
}

}  // namespace
}  // namespace lab::controllers
