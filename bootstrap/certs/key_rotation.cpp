#include "bootstrap/certs/key_rotation.h"

#include <algorithm>

#include "base/fs.h"
#include "bootstrap/certs/files.h"
#include "pki/jwt.h"

namespace lab::bootstrap::certs {

namespace {

std::string kept(const Places& p, const char* name) {
  return fs::join(fs::join(p.pki, kKeyRotation), name);
}
std::string signing_file(const Places& p) {
  return fs::join(p.pki, "sa.key");
}
std::string accepted_file(const Places& p) {
  return fs::join(p.pki, "sa.pub");
}

Result<pki::PrivateKey> read_key(const std::string& path) {
  LAB_TRY(auto pem, fs::read_file(path));
  auto key = pki::PrivateKey::from_pem(pem);
  if (!key) return std::unexpected(std::move(key).error().with_context(path));
  return key;
}

std::string id_of(const pki::PrivateKey& key) {
  auto half = pki::PublicKey::from_pem(key.public_pem());
  return half ? pki::key_id(*half) : std::string();
}

Result<void> accept(const Places& p, const std::string& public_pems) {
  if (fs::read_file(accepted_file(p)).value_or("") == public_pems) return {};
  return replace_file(accepted_file(p), public_pems, 0644);
}

}  // namespace

Result<KeyRotation> key_rotation(const Places& p) {
  KeyRotation out;
  auto signer = read_key(signing_file(p));
  if (!signer)
    return std::unexpected(std::move(signer).error().with_context("the key of service accounts is on masters alone"));
  out.signer = id_of(*signer);
  if (auto pem = fs::read_file(accepted_file(p))) {
    LAB_TRY(auto keys, pki::public_keys(*pem));
    for (const auto& key : keys) out.accepted.push_back(pki::key_id(key));
  }
  auto fresh = read_key(kept(p, "new.key")), old = read_key(kept(p, "old.key"));
  if (!fresh || !old) return out;
  const std::string new_id = id_of(*fresh);
  if (out.signer == new_id)
    out.step = CaStep::kSwitched;
  else if (std::ranges::find(out.accepted, new_id) != out.accepted.end())
    out.step = CaStep::kPrepared;
  else
    return out;
  out.old_id = id_of(*old);
  out.new_id = new_id;
  return out;
}

Result<void> prepare_key(const Places& p, const std::function<Result<void>()>& agree) {
  LAB_TRY(auto now, key_rotation(p));
  if (now.step == CaStep::kSwitched)
    return fail(Code::kInvalid, "the key has been switched already", "end this rotation first, with the step finish");
  LAB_CHECK(fs::make_dirs(fs::join(p.pki, kKeyRotation), 0700));
  LAB_TRY(auto old, read_key(signing_file(p)));
  LAB_CHECK(fs::write_file(kept(p, "old.key"), old.pem(), 0600));
  if (!fs::exists(kept(p, "new.key")))
    LAB_CHECK(fs::write_file(kept(p, "new.key"), pki::PrivateKey::generate(old.algorithm()).pem(), 0600));
  if (agree) LAB_CHECK(agree());
  LAB_TRY(auto fresh, read_key(kept(p, "new.key")));
  return accept(p, old.public_pem() + fresh.public_pem());
}

Result<void> switch_key(const Places& p) {
  LAB_TRY(auto now, key_rotation(p));
  if (now.step == CaStep::kNone) return fail(Code::kInvalid, "no new key is prepared", "begin with the step prepare");
  LAB_TRY(auto old, read_key(kept(p, "old.key")));
  LAB_TRY(auto fresh, read_key(kept(p, "new.key")));
  // What is accepted already holds both: killed in between, nothing is refused.
  LAB_CHECK(replace_file(signing_file(p), fresh.pem(), 0600));
  return accept(p, fresh.public_pem() + old.public_pem());
}

Result<void> finish_key(const Places& p) {
  LAB_TRY(auto now, key_rotation(p));
  const bool joined_meanwhile = now.step == CaStep::kNone && now.accepted.size() > 1;
  if (now.step == CaStep::kPrepared)
    return fail(Code::kInvalid, "the old key still signs", "take the step switch first");
  if (now.step == CaStep::kNone && !joined_meanwhile)
    return fail(Code::kInvalid, "no rotation of the key is under way", "begin one with the step prepare");
  LAB_TRY(auto signer, read_key(signing_file(p)));
  return accept(p, signer.public_pem());
}

Result<void> forget_old_key(const Places& p) {
  return fs::remove_all(fs::join(p.pki, kKeyRotation));
}

Result<void> mark_key_served(const Places& p) {
  LAB_TRY(auto now, key_rotation(p));
  return write_served(fs::join(p.pki, kKeyRotation), now.step);
}

CaStep served_key_step(const Places& p) {
  return read_served(fs::join(p.pki, kKeyRotation));
}

}  // namespace lab::bootstrap::certs
