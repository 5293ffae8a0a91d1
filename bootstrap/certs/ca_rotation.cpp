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

std::string kept(const Places& p, const char* name) {
  return fs::join(fs::join(p.pki, "ca-rotation"), name);
}
std::string ca_file(const Places& p, const char* name) {
  return fs::join(p.pki, name);
}

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

Result<void> keep_old_pair(const Places& p) {
  auto authority = pki::load_authority(p.pki, "ca");
  if (!authority)
    return std::unexpected(
        std::move(authority).error().with_context("the CA is rotated where its key is (" + ca_file(p, "ca.key") + ")"));
  LAB_CHECK(fs::write_file(kept(p, "old.key"), authority->key_pem(), 0600));
  return fs::write_file(kept(p, "old.crt"), first_of(authority->certificate_pem()), 0644);
}

// The key first; one that stands alone is completed, never replaced.
Result<void> make_new_pair(const Places& p, std::chrono::hours validity) {
  LAB_TRY(auto old_key, fs::read_file(kept(p, "old.key")));
  LAB_TRY(auto old_crt, fs::read_file(kept(p, "old.crt")));
  LAB_TRY(auto old, pki::Authority::from_pem(old_crt, old_key));
  if (!fs::exists(kept(p, "new.key"))) {
    LAB_TRY(auto algorithm, pki::PrivateKey::from_pem(old_key));
    LAB_CHECK(fs::write_file(kept(p, "new.key"), pki::PrivateKey::generate(algorithm.algorithm()).pem(), 0600));
  }
  if (!fs::exists(kept(p, "new.crt"))) {
    LAB_TRY(auto pem, fs::read_file(kept(p, "new.key")));
    LAB_TRY(auto key, pki::PrivateKey::from_pem(pem));
    LAB_TRY(auto info, pki::inspect(old_crt));
    auto fresh = pki::Authority::create(info.common_name, validity, std::move(key));
    LAB_CHECK(fs::write_file(kept(p, "new.crt"), fresh.certificate_pem(), 0644));
  }
  if (fs::exists(kept(p, "cross.crt"))) return {};
  LAB_TRY(auto new_crt, fs::read_file(kept(p, "new.crt")));
  LAB_TRY(auto cross, old.cross_sign(new_crt));
  return fs::write_file(kept(p, "cross.crt"), cross, 0644);
}

Result<void> set_bundle(const Places& p, const std::string& bundle) {
  LAB_CHECK(replace_file(ca_file(p, "ca.crt"), bundle, 0644));
  return trust_in_kubeconfigs(p, bundle);
}

Result<bool> signed_by_new(const Row& row, const Places& p, const std::string& new_crt) {
  if (!row.kubeconfig) {
    auto pem = fs::read_file(fs::join(p.pki, row.path + ".crt"));
    return pem && pki::signed_by(*pem, new_crt) && pki::split_bundle(*pem).size() > 1;
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

Result<CaRotation> ca_rotation(const Places& p) {
  CaRotation out;
  LAB_TRY(out.bundle, fs::read_file(ca_file(p, "ca.crt")));
  auto fresh = fs::read_file(kept(p, "new.crt")), old = fs::read_file(kept(p, "old.crt"));
  if (!fresh || !old) return out;
  const auto signer = fs::read_file(ca_file(p, "ca.key"));
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

Result<void> prepare_ca(const Places& p, std::chrono::hours ca_validity, const std::function<Result<void>()>& agree) {
  LAB_TRY(auto now, ca_rotation(p));
  if (now.step == CaStep::kSwitched)
    return fail(Code::kInvalid, "the CA has been switched already",
                "end this rotation first: lab certs rotate-ca finish");
  LAB_CHECK(fs::make_dirs(fs::join(p.pki, "ca-rotation"), 0700));
  LAB_CHECK(keep_old_pair(p));
  LAB_CHECK(make_new_pair(p, ca_validity));
  if (agree) LAB_CHECK(agree());
  LAB_TRY(auto old_crt, fs::read_file(kept(p, "old.crt")));
  LAB_TRY(auto new_crt, fs::read_file(kept(p, "new.crt")));
  return set_bundle(p, old_crt + new_crt);
}

Result<void> switch_ca(const Renewal& how) {
  const auto& p = how.places;
  LAB_TRY(auto now, ca_rotation(p));
  if (now.step == CaStep::kNone)
    return fail(Code::kInvalid, "no new CA is prepared", "begin with: lab certs rotate-ca prepare");
  LAB_TRY(auto old_crt, fs::read_file(kept(p, "old.crt")));
  LAB_TRY(auto new_crt, fs::read_file(kept(p, "new.crt")));
  LAB_TRY(auto new_key, fs::read_file(kept(p, "new.key")));
  // The key decides which of the bundle signs; the bundle's order follows.
  LAB_CHECK(replace_file(ca_file(p, "ca.key"), new_key, 0600));
  LAB_CHECK(set_bundle(p, new_crt + old_crt));
  for (const auto& row : rows()) {
    if (row.ca != "ca") continue;
    LAB_TRY(bool done, signed_by_new(row, p, new_crt));
    if (done) continue;
    auto renewed = renew(row, how);
    // What is not here (a further master has no super-admin.conf) is no part of the change.
    if (!renewed && renewed.error().code != Code::kNotFound) return std::unexpected(std::move(renewed).error());
  }
  return {};
}

Result<void> finish_ca(const Places& p) {
  LAB_TRY(auto now, ca_rotation(p));
  if (now.step != CaStep::kSwitched)
    return fail(Code::kInvalid,
                now.step == CaStep::kNone ? "no rotation of the CA is under way" : "the old CA still signs",
                now.step == CaStep::kNone ? "begin one with: lab certs rotate-ca prepare"
                                          : "first: lab certs rotate-ca switch");
  LAB_TRY(auto new_crt, fs::read_file(kept(p, "new.crt")));
  for (const auto& row : rows())
    if (row.ca == "ca" && !row.kubeconfig) LAB_CHECK(strip_chain(row, p));
  return set_bundle(p, new_crt);
}

Result<void> forget_old_ca(const Places& p) {
  return fs::remove_all(fs::join(p.pki, "ca-rotation"));
}

Result<void> mark_served(const Places& p) {
  LAB_TRY(auto now, ca_rotation(p));
  if (now.step == CaStep::kNone) return {};
  return fs::write_file(kept(p, "served"), now.step == CaStep::kPrepared ? "prepared" : "switched", 0644);
}

CaStep served_step(const Places& p) {
  const auto text = fs::read_file(kept(p, "served")).value_or("");
  return text == "switched" ? CaStep::kSwitched : text == "prepared" ? CaStep::kPrepared : CaStep::kNone;
}

std::string chain_behind(const Places& p, const std::string& ca_pem) {
  auto fresh = fs::read_file(kept(p, "new.crt"));
  if (!fresh || !same_key(first_of(ca_pem), *fresh)) return {};
  return fs::read_file(kept(p, "cross.crt")).value_or("");
}

}  // namespace lab::bootstrap::certs
