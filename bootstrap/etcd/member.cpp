#include "bootstrap/etcd/member.h"

#include <unistd.h>

#include <algorithm>

#include "base/fs.h"
#include "base/io/scope.h"
#include "bootstrap/common/cluster.h"
#include "etcd_rpc.pb.h"
#include "orchestrator/store/etcd/cluster.h"

namespace lab::bootstrap::etcd {

namespace pb = etcdserverpb;
using Kind = store::etcd::Cluster::Kind;

namespace {

constexpr std::chrono::seconds kServeLimit{60}, kPromoteLimit{120}, kLeaveLimit{20};
constexpr const char* kOwn = "https://127.0.0.1:2379";

std::vector<Member> members_of(const google::protobuf::RepeatedPtrField<pb::Member>& list) {
  std::vector<Member> out;
  for (const auto& m : list)
    out.push_back({.id = m.id(),
                   .name = m.name(),
                   .peer_urls = {m.peerurls().begin(), m.peerurls().end()},
                   .client_urls = {m.clienturls().begin(), m.clienturls().end()},
                   .learner = m.islearner()});
  return out;
}

const Member* with_peer(const std::vector<Member>& members, const std::string& url) {
  for (const auto& m : members)
    if (std::ranges::find(m.peer_urls, url) != m.peer_urls.end()) return &m;
  return nullptr;
}

Result<std::string> binary() {
  for (const char* path : {"/usr/bin/etcd", "/usr/local/bin/etcd"})
    if (::access(path, X_OK) == 0) return std::string(path);
  return fail(Code::kNotFound, "no etcd is installed on this machine",
              "install it (apt-get install etcd-server; under systemd also: systemctl disable --now etcd), or use the "
              "embedded store of a single master (--store embedded)");
}

bool has_data() {
  return fs::exists(fs::join(kDataDirectory, "member"));
}

Result<Unit> unit_of(const Local& local, const std::string& cluster, bool existing) {
  LAB_TRY(auto path, binary());
  auto pki = [&](const char* file) { return fs::join(fs::join(local.cert_dir, "etcd"), file); };
  return Unit{.name = kService,
              .description = "etcd of a control plane of lab",
              .argv = {path, "--name", local.name, "--data-dir", kDataDirectory, "--listen-client-urls",
                       std::string(kOwn) + "," + local.client_url(), "--advertise-client-urls", local.client_url(),
                       "--listen-peer-urls", local.peer_url(), "--initial-advertise-peer-urls", local.peer_url(),
                       "--initial-cluster", cluster, "--initial-cluster-state", existing ? "existing" : "new",
                       "--client-cert-auth=true", "--trusted-ca-file", pki("ca.crt"), "--cert-file", pki("server.crt"),
                       "--key-file", pki("server.key"), "--peer-client-cert-auth=true", "--peer-trusted-ca-file",
                       pki("ca.crt"), "--peer-cert-file", pki("peer.crt"), "--peer-key-file", pki("peer.key"),
                       // Room for the largest object with its managed fields, and for whole-namespace transactions.
                       "--max-request-bytes", "8388608", "--max-txn-ops", "10000", "--snapshot-count", "10000"}};
}

Result<void> start(ServiceManager& services, const Local& local, const std::string& cluster, bool existing) {
  LAB_CHECK(fs::make_dirs(kDataDirectory, 0700));
  LAB_TRY(auto unit, unit_of(local, cluster, existing));
  return services.ensure_running(unit);
}

// "node1=https://10.0.0.1:2380,..." of those that have started, with the own name for the own URL.
std::string initial_cluster(const std::vector<Member>& members, const Local& local) {
  std::string out;
  for (const auto& m : members)
    for (const auto& url : m.peer_urls) {
      const std::string name = url == local.peer_url() ? local.name : m.name;
      if (!name.empty()) out += (out.empty() ? "" : ",") + name + "=" + url;
    }
  return out;
}

}  // namespace

Result<Membership> Membership::connect(std::vector<std::string> endpoints, const std::string& cert_dir) {
  const std::string pki = fs::join(cert_dir, "etcd");
  Membership out;
  LAB_TRY(out.cluster_, store::etcd::Cluster::make({.endpoints = std::move(endpoints),
                                                    .ca_file = fs::join(pki, "ca.crt"),
                                                    .cert_file = fs::join(pki, "healthcheck-client.crt"),
                                                    .key_file = fs::join(pki, "healthcheck-client.key")}));
  return out;
}

Result<std::vector<Member>> Membership::list() {
  LAB_TRY(auto answer, run_task(cluster_->call("/etcdserverpb.Cluster/MemberList",
                                               pb::MemberListRequest().SerializeAsString(), Kind::kRead)));
  pb::MemberListResponse out;
  if (!out.ParseFromString(answer)) return fail(Code::kInternal, "etcd's answer is no MemberListResponse");
  answered_by_ = out.header().member_id();
  return members_of(out.members());
}

Result<std::vector<Member>> Membership::add_learner(const std::string& peer_url) {
  pb::MemberAddRequest request;
  request.add_peerurls(peer_url);
  request.set_islearner(true);
  LAB_TRY(auto answer,
          run_task(cluster_->call("/etcdserverpb.Cluster/MemberAdd", request.SerializeAsString(), Kind::kWrite)));
  pb::MemberAddResponse out;
  if (!out.ParseFromString(answer)) return fail(Code::kInternal, "etcd's answer is no MemberAddResponse");
  return members_of(out.members());
}

Result<void> Membership::set_peer_url(std::uint64_t id, const std::string& url) {
  pb::MemberUpdateRequest request;
  request.set_id(id);
  request.add_peerurls(url);
  LAB_CHECK(run_task(cluster_->call("/etcdserverpb.Cluster/MemberUpdate", request.SerializeAsString(), Kind::kWrite)));
  return {};
}

Result<void> Membership::promote(std::uint64_t id) {
  pb::MemberPromoteRequest request;
  request.set_id(id);
  LAB_CHECK(run_task(cluster_->call("/etcdserverpb.Cluster/MemberPromote", request.SerializeAsString(), Kind::kWrite)));
  return {};
}

Result<void> Membership::remove(std::uint64_t id) {
  pb::MemberRemoveRequest request;
  request.set_id(id);
  LAB_CHECK(run_task(cluster_->call("/etcdserverpb.Cluster/MemberRemove", request.SerializeAsString(), Kind::kWrite)));
  return {};
}

std::vector<std::string> server_flags(const std::string& cert_dir) {
  return {"--store",         std::string("etcd=") + kOwn,
          "--etcd-cafile",   fs::join(cert_dir, "etcd/ca.crt"),
          "--etcd-certfile", fs::join(cert_dir, "apiserver-etcd-client.crt"),
          "--etcd-keyfile",  fs::join(cert_dir, "apiserver-etcd-client.key")};
}

// A learner answers nothing but its membership, so that is what is asked.
Result<void> wait_serving(ServiceManager& services, const std::string& cert_dir) {
  LAB_TRY(auto own, Membership::connect({kOwn}, cert_dir));
  return wait_until(kServeLimit, "an etcd that serves on " + std::string(kOwn),
                    "see its log: " + services.log_hint(kService), [&]() -> Result<void> {
                      LAB_CHECK(own.list());
                      return {};
                    });
}

Result<void> all_serve(const std::string& cert_dir) {
  LAB_TRY(auto own, Membership::connect({kOwn}, cert_dir));
  LAB_TRY(auto members, own.list());
  for (const auto& m : members) {
    if (m.id == own.answered_by()) continue;
    LAB_TRY(auto other, Membership::connect(m.client_urls, cert_dir));
    if (auto answer = other.list(); !answer)
      return fail(Code::kUnavailable,
                  "etcd of " + (m.name.empty() ? "a member that has not started" : m.name) + " does not answer (" +
                      answer.error().message + "), and this one may not be restarted meanwhile",
                  "bring it back, or take it out: lab reset there; or, where that machine is gone, "
                  "kubectl delete node " + m.name + " and etcdctl member remove");
  }
  return {};
}

Result<void> start_first(ServiceManager& services, const Local& local) {
  LAB_CHECK(start(services, local, local.name + "=" + local.peer_url(), false));
  return wait_serving(services, local.cert_dir);
}

Result<void> join(ServiceManager& services, const Local& local, const std::vector<std::string>& endpoints) {
  std::vector<std::string> others;
  for (const auto& e : endpoints)
    if (e != local.client_url()) others.push_back(e);
  LAB_TRY(auto membership, Membership::connect(others, local.cert_dir));
  LAB_TRY(auto members, membership.list());
  const Member* mine = with_peer(members, local.peer_url());
  if (mine && !has_data() && !mine->name.empty()) {
    // It was a member, and its data is gone: etcd takes it back as a new one only.
    LAB_CHECK(membership.remove(mine->id));
    mine = nullptr;
  }
  if (!mine) {
    if (has_data()) LAB_CHECK(fs::remove_all(kDataDirectory));  // of a membership that has ended
    // One learner at a time: others that join now have theirs promoted first.
    LAB_CHECK(wait_until(kPromoteLimit, "a place among etcd's members", "see the logs of etcd on the other masters",
                         [&]() -> Result<void> {
                           LAB_TRY(members, membership.add_learner(local.peer_url()));
                           return {};
                         }));
    mine = with_peer(members, local.peer_url());
  }
  if (!mine) return fail(Code::kInternal, "etcd does not list the member that was added");
  LAB_CHECK(start(services, local, initial_cluster(members, local), true));
  if (!mine->learner) return wait_serving(services, local.cert_dir);
  const std::uint64_t id = mine->id;
  return wait_until(kPromoteLimit, "this machine's etcd to catch up with the others",
                    "see its log: " + services.log_hint(kService), [&]() -> Result<void> {
                      LAB_TRY(auto now, membership.list());
                      const Member* m = with_peer(now, local.peer_url());
                      if (m && !m->learner) return {};  // an answer that was lost had done it
                      return membership.promote(id);
                    });
}

Result<void> follow_address(ServiceManager& services, const Local& local) {
  LAB_TRY(auto own, Membership::connect({kOwn}, local.cert_dir));
  return wait_until(kPromoteLimit, "etcd to take this member's new address",
                    "see its log: " + services.log_hint(kService), [&]() -> Result<void> {
                      LAB_TRY(auto members, own.list());
                      for (const auto& m : members)
                        if (m.id == own.answered_by() && m.peer_urls != std::vector{local.peer_url()})
                          return own.set_peer_url(m.id, local.peer_url());
                      return {};
                    });
}

Result<void> leave(const std::string& cert_dir) {
  if (!has_data() || !fs::exists(fs::join(cert_dir, "etcd/healthcheck-client.key"))) return {};
  LAB_TRY(auto own, Membership::connect({kOwn}, cert_dir));
  LAB_TRY(auto members, own.list());
  const std::uint64_t id = own.answered_by();
  std::vector<std::string> others;
  for (const auto& m : members)
    if (m.id != id) others.insert(others.end(), m.client_urls.begin(), m.client_urls.end());
  if (others.empty()) return {};
  // Through the others: one that leaves may not see its own removal confirmed. etcd refuses while a member has not been
  // connected for some seconds.
  LAB_TRY(auto membership, Membership::connect(std::move(others), cert_dir));
  return wait_until(kLeaveLimit, "etcd to let this member go", "see whether a majority of its members runs",
                    [&]() -> Result<void> {
                      auto removed = membership.remove(id);
                      if (removed || removed.error().code == Code::kNotFound) return {};
                      return removed;
                    });
}

}  // namespace lab::bootstrap::etcd
