#include "bootstrap/certs/ca_rotation.h"

#include "base/fs.h"
#include "bootstrap/certs/files.h"
#include "orchestrator/client/client.h"
#include "pki/certificate_set.h"
#include "pki/kubeconfig.h"

namespace lab::bootstrap::certs {

namespace {

// kubelet.conf is the agent's: it takes the bundle from the cluster, as on any node.
constexpr const char* kKubeconfigs[] = {"admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf"};

// One CA of a master: where it is, and where its rotation is kept.
struct Ca {
  const Places& places;
  std::string name;  // "ca", "etcd/ca"
  bool clusters() const { return name == kClusterCa; }
  std::string certificate() const { return fs::join(places.pki, name + ".crt"); }
  std::string key() const { return fs::join(places.pki, name + ".key"); }
  std::string directory() const { return fs::join(places.pki, rotation_directory(name)); }
  std::string kept(const char* file) const { return fs::join(directory(), file); }
};

// Same key, however its PEM is written.
bool same_key(const std::string& a, const std::string& b) {
  auto x = pki::PublicKey::from_pem(a), y = pki::PublicKey::from_pem(b);
  return x && y && x->der() == y->der();
}

std::string first_of(const std::string& bundle) {
  auto all = pki::split_bundle(bundle);
  return all.empty() ? std::string() : all.front();
}

bool holds(const std::string& bundle, const std::string& certificate) {
  for (const auto& one : pki::split_bundle(bundle))
    if (same_key(one, certificate)) return true;
  return false;
}

Result<void> trust_in_kubeconfigs(const Places& p, const std::string& bundle) {
  for (const char* name : kKubeconfigs) {
    const std::string path = fs::join(p.kubernetes, name);
    auto text = fs::read_file(path);
    if (!text && text.error().code == Code::kNotFound) continue;
    if (!text) return std::unexpected(std::move(text).error());
    auto next = pki::with_cluster(*text, bundle);
    if (!next) return std::unexpected(std::move(next).error().with_context(path));
    if (*next != *text) LAB_CHECK(replace_file(path, *next, 0600));
  }
  return {};
}

Result<void> keep_old_pair(const Ca& ca) {
  auto authority = pki::load_authority(ca.places.pki, ca.name);
  if (!authority)
    return std::unexpected(
        std::move(authority).error().with_context("the CA is rotated where its key is (" + ca.key() + ")"));
  LAB_CHECK(fs::write_file(ca.kept("old.key"), authority->key_pem(), 0600));
  return fs::write_file(ca.kept("old.crt"), first_of(authority->certificate_pem()), 0644);
}

// The key first; one that stands alone is completed, never replaced.
Result<void> make_new_pair(const Ca& ca, std::chrono::hours validity) {
  LAB_TRY(auto old_key, fs::read_file(ca.kept("old.key")));
  LAB_TRY(auto old_crt, fs::read_file(ca.kept("old.crt")));
  LAB_TRY(auto old, pki::Authority::from_pem(old_crt, old_key));
  if (!fs::exists(ca.kept("new.key"))) {
    LAB_TRY(auto algorithm, pki::PrivateKey::from_pem(old_key));
    LAB_CHECK(fs::write_file(ca.kept("new.key"), pki::PrivateKey::generate(algorithm.algorithm()).pem(), 0600));
  }
  if (!fs::exists(ca.kept("new.crt"))) {
    LAB_TRY(auto pem, fs::read_file(ca.kept("new.key")));
    LAB_TRY(auto key, pki::PrivateKey::from_pem(pem));
    LAB_TRY(auto info, pki::inspect(old_crt));
    auto fresh = pki::Authority::create(info.common_name, validity, std::move(key));
    LAB_CHECK(fs::write_file(ca.kept("new.crt"), fresh.certificate_pem(), 0644));
  }
  if (fs::exists(ca.kept("cross.crt"))) return {};
  LAB_TRY(auto new_crt, fs::read_file(ca.kept("new.crt")));
  LAB_TRY(auto cross, old.cross_sign(new_crt));
  return fs::write_file(ca.kept("cross.crt"), cross, 0644);
}

Result<void> set_bundle(const Ca& ca, const std::string& bundle) {
  LAB_CHECK(replace_file(ca.certificate(), bundle, 0644));
  return ca.clusters() ? trust_in_kubeconfigs(ca.places, bundle) : Result<void>();
}

Result<bool> signed_by_new(const Row& row, const Ca& ca, const std::string& new_crt) {
  const Places& p = ca.places;
  if (!row.kubeconfig) {
    auto pem = fs::read_file(fs::join(p.pki, row.path + ".crt"));
    return pem && pki::signed_by(*pem, new_crt) && (!ca.clusters() || pki::split_bundle(*pem).size() > 1);
  }
  auto config = client::load_kubeconfig(fs::join(p.kubernetes, row.path));
  return config && pki::signed_by(config->certificate_pem, new_crt);
}

// Without what was sent behind it.
Result<void> strip_chain(const Row& row, const Places& p) {
  const std::string path = fs::join(p.pki, row.path + ".crt");
  auto pem = fs::read_file(path);
  if (!pem) return {};
  const auto leaf = first_of(*pem);
  return leaf == *pem || leaf.empty() ? Result<void>() : replace_file(path, leaf, 0644);
}

}  // namespace

std::string rotation_directory(const std::string& ca) {
  return ca_name(ca) + "-rotation";
}

Result<CaRotation> ca_rotation(const Places& p, const std::string& name) {
  const Ca ca{p, name};
  CaRotation out;
  LAB_TRY(out.bundle, fs::read_file(ca.certificate()));
  auto fresh = fs::read_file(ca.kept("new.crt")), old = fs::read_file(ca.kept("old.crt"));
  if (!fresh || !old) return out;
  const auto signer = fs::read_file(ca.key());
  if (signer && same_key(*signer, *fresh))
    out.step = CaStep::kSwitched;
  else if (holds(out.bundle, *fresh))
    out.step = CaStep::kPrepared;
  else
    return out;
  LAB_TRY(out.old_pin, pki::pin(*old));
  LAB_TRY(out.new_pin, pki::pin(*fresh));
  return out;
}

Result<void> prepare_ca(const Places& p, std::chrono::hours ca_validity, const std::function<Result<void>()>& agree,
                        const std::string& name) {
  const Ca ca{p, name};
  LAB_TRY(auto now, ca_rotation(p, name));
  if (now.step == CaStep::kSwitched)
    return fail(Code::kInvalid, "the CA has been switched already", "end this rotation first, with the step finish");
  LAB_CHECK(fs::make_dirs(ca.directory(), 0700));
  LAB_CHECK(keep_old_pair(ca));
  LAB_CHECK(make_new_pair(ca, ca_validity));
  if (agree) LAB_CHECK(agree());
  LAB_TRY(auto old_crt, fs::read_file(ca.kept("old.crt")));
  LAB_TRY(auto new_crt, fs::read_file(ca.kept("new.crt")));
  return set_bundle(ca, old_crt + new_crt);
}

Result<void> switch_ca(const Renewal& how, const std::string& name) {
  const Ca ca{how.places, name};
  LAB_TRY(auto now, ca_rotation(how.places, name));
  if (now.step == CaStep::kNone) return fail(Code::kInvalid, "no new CA is prepared", "begin with the step prepare");
  LAB_TRY(auto old_crt, fs::read_file(ca.kept("old.crt")));
  LAB_TRY(auto new_crt, fs::read_file(ca.kept("new.crt")));
  LAB_TRY(auto new_key, fs::read_file(ca.kept("new.key")));
  // The key decides which of the bundle signs; the bundle's order follows.
  LAB_CHECK(replace_file(ca.key(), new_key, 0600));
  LAB_CHECK(set_bundle(ca, new_crt + old_crt));
  for (const auto& row : rows()) {
    if (row.ca != name) continue;
    LAB_TRY(bool done, signed_by_new(row, ca, new_crt));
    if (done) continue;
    auto renewed = renew(row, how);
    // What is not here (a further master has no super-admin.conf) is no part of the change.
    if (!renewed && renewed.error().code != Code::kNotFound) return std::unexpected(std::move(renewed).error());
  }
  return {};
}

Result<void> finish_ca(const Places& p, const std::string& name) {
  const Ca ca{p, name};
  LAB_TRY(auto now, ca_rotation(p, name));
  if (now.step != CaStep::kSwitched)
    return fail(Code::kInvalid,
                now.step == CaStep::kNone ? "no rotation of the CA is under way" : "the old CA still signs",
                now.step == CaStep::kNone ? "begin one with the step prepare" : "take the step switch first");
  LAB_TRY(auto new_crt, fs::read_file(ca.kept("new.crt")));
  for (const auto& row : rows())
    if (ca.clusters() && row.ca == name && !row.kubeconfig) LAB_CHECK(strip_chain(row, p));
  return set_bundle(ca, new_crt);
}

Result<void> forget_old_ca(const Places& p, const std::string& name) {
  return fs::remove_all(Ca{p, name}.directory());
}

Result<void> write_served(const std::string& directory, CaStep step) {
  if (step == CaStep::kNone) return {};
  return fs::write_file(fs::join(directory, "served"), step == CaStep::kPrepared ? "prepared" : "switched", 0644);
}

CaStep read_served(const std::string& directory) {
  const auto text = fs::read_file(fs::join(directory, "served")).value_or("");
  return text == "switched" ? CaStep::kSwitched : text == "prepared" ? CaStep::kPrepared : CaStep::kNone;
}

Result<void> mark_served(const Places& p, const std::string& name) {
  LAB_TRY(auto now, ca_rotation(p, name));
  return write_served(Ca{p, name}.directory(), now.step);
}

CaStep served_step(const Places& p, const std::string& name) {
  return read_served(Ca{p, name}.directory());
}

std::string chain_behind(const Places& p, const std::string& ca_pem) {
  const Ca ca{p, kClusterCa};
  auto fresh = fs::read_file(ca.kept("new.crt"));
  if (!fresh || !same_key(first_of(ca_pem), *fresh)) return {};
  return fs::read_file(ca.kept("cross.crt")).value_or("");
}

}  // namespace lab::bootstrap::certs
