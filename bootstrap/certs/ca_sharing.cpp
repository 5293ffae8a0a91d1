#include "bootstrap/certs/ca_sharing.h"

#include "base/crypto/aead.h"
#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "bootstrap/certs/ca_rotation.h"

namespace lab::bootstrap::certs {

namespace res = client::res;

namespace {

constexpr const char* kSecret = "lab-ca-rotation";
struct Shared {
  const char* name;
  int mode;
};
// The key last: where it stands, the others do.
constexpr Shared kShared[] = {{"new.crt", 0644}, {"cross.crt", 0644}, {"new.key", 0600}};

std::string path_of(const Places& p, const char* name) {
  return fs::join(fs::join(p.pki, "ca-rotation"), name);
}

Result<std::string> sealing_key(const Places& p) {
  LAB_TRY(auto old_key, fs::read_file(path_of(p, "old.key")));
  return crypto::hmac_sha256(old_key, "lab: the new CA, for the other masters");
}

Result<json::Value> sealed_pair(const Places& p, const std::string& key) {
  json::Object data;
  for (const auto& file : kShared) {
    LAB_TRY(auto text, fs::read_file(path_of(p, file.name)));
    LAB_TRY(auto sealed, crypto::aes_gcm_seal(key, text));
    data[file.name] = crypto::base64_encode(sealed);
  }
  return json::Value(json::Object{{"apiVersion", "v1"},
                                  {"kind", "Secret"},
                                  {"metadata", json::Object{{"name", kSecret}, {"namespace", "kube-system"}}},
                                  {"data", std::move(data)}});
}

Result<void> take_pair(const json::Value& secret, const Places& p, const std::string& key) {
  LAB_TRY(auto now, ca_rotation(p));
  for (const auto& file : kShared) {
    LAB_TRY(auto sealed, crypto::base64_decode(json::str(secret, "data", file.name)));
    auto text = crypto::aes_gcm_open(key, sealed);
    if (!text)
      return fail(Code::kInvalid,
                  "the cluster's new CA cannot be opened with this master's CA key: Secret kube-system/lab-ca-rotation",
                  "it is of another rotation, or this master's CA is another one; when no rotation is under way on any "
                  "master: kubectl -n kube-system delete secret lab-ca-rotation");
    auto there = fs::read_file(path_of(p, file.name));
    if (there && *there == *text) continue;
    if (now.step != CaStep::kNone)
      return fail(Code::kConflict, "this master trusts another new CA than the cluster's masters have agreed on",
                  "end this master's own rotation first: lab certs rotate-ca");
    LAB_CHECK(fs::write_file(path_of(p, file.name), *text, file.mode));
  }
  return {};
}

}  // namespace

Result<void> agree_on_new_ca(Cluster& cluster, const Places& p) {
  LAB_TRY(auto key, sealing_key(p));
  LAB_TRY(auto mine, sealed_pair(p, key));
  auto made = cluster.create(res::secrets, "kube-system", std::move(mine));
  if (made) return {};
  if (made.error().code != Code::kAlreadyExists) return std::unexpected(std::move(made).error());
  LAB_TRY(auto secret, cluster.get(res::secrets, "kube-system", kSecret));
  return take_pair(secret, p, key);
}

Result<void> forget_shared_ca(Cluster& cluster) {
  auto gone = cluster.remove(res::secrets, "kube-system", kSecret);
  if (!gone && gone.error().code != Code::kNotFound) return gone;
  return {};
}

}  // namespace lab::bootstrap::certs
