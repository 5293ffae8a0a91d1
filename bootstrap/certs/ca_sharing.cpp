#include "bootstrap/certs/ca_sharing.h"

#include <vector>

#include "base/crypto/aead.h"
#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "bootstrap/certs/key_rotation.h"

namespace lab::bootstrap::certs {

namespace res = client::res;

namespace {

struct SharedFile {
  const char* name;
  int mode;
};

// What is shared, of what. The key last: where it stands, the others do.
struct Shared {
  std::string secret, directory;
  std::vector<SharedFile> files;
  std::string what;  // "new CA"
  bool trusted;      // another one of this master's own is in use already

  std::string path_of(const char* name) const { return fs::join(directory, name); }
};

std::string secret_of(const std::string& directory) {
  return "lab-" + directory;
}

Result<std::string> sealing_key(const Shared& shared) {
  LAB_TRY(auto old_key, fs::read_file(shared.path_of("old.key")));
  return crypto::hmac_sha256(old_key, "lab: the " + shared.what + ", for the other masters");
}

Result<json::Value> sealed(const Shared& shared, const std::string& key) {
  json::Object data;
  for (const auto& file : shared.files) {
    LAB_TRY(auto text, fs::read_file(shared.path_of(file.name)));
    LAB_TRY(auto bytes, crypto::aes_gcm_seal(key, text));
    data[file.name] = crypto::base64_encode(bytes);
  }
  return json::Value(json::Object{{"apiVersion", "v1"},
                                  {"kind", "Secret"},
                                  {"metadata", json::Object{{"name", shared.secret}, {"namespace", "kube-system"}}},
                                  {"data", std::move(data)}});
}

Result<void> take(const json::Value& secret, const Shared& shared, const std::string& key) {
  for (const auto& file : shared.files) {
    LAB_TRY(auto bytes, crypto::base64_decode(json::str(secret, "data", file.name)));
    auto text = crypto::aes_gcm_open(key, bytes);
    if (!text)
      return fail(Code::kInvalid,
                  "the cluster's " + shared.what + " cannot be opened with this master's old key: Secret kube-system/" +
                      shared.secret,
                  "it is of another rotation, or this master's key is another one; when no rotation is under way on "
                  "any master: kubectl -n kube-system delete secret " +
                      shared.secret);
    auto there = fs::read_file(shared.path_of(file.name));
    if (there && *there == *text) continue;
    if (shared.trusted)
      return fail(Code::kConflict,
                  "this master trusts another " + shared.what + " than the cluster's masters have agreed on",
                  "end this master's own rotation first");
    LAB_CHECK(fs::write_file(shared.path_of(file.name), *text, file.mode));
  }
  return {};
}

Result<void> agree(Cluster& cluster, const Shared& shared) {
  LAB_TRY(auto key, sealing_key(shared));
  LAB_TRY(auto mine, sealed(shared, key));
  auto made = cluster.create(res::secrets, "kube-system", std::move(mine));
  if (made) return {};
  if (made.error().code != Code::kAlreadyExists) return std::unexpected(std::move(made).error());
  LAB_TRY(auto secret, cluster.get(res::secrets, "kube-system", shared.secret));
  return take(secret, shared, key);
}

Result<void> forget(Cluster& cluster, const std::string& directory) {
  auto gone = cluster.remove(res::secrets, "kube-system", secret_of(directory));
  if (!gone && gone.error().code != Code::kNotFound) return gone;
  return {};
}

}  // namespace

Result<void> agree_on_new_ca(Cluster& cluster, const Places& p, const std::string& ca) {
  LAB_TRY(auto now, ca_rotation(p, ca));
  const std::string directory = rotation_directory(ca);
  return agree(cluster, {.secret = secret_of(directory),
                         .directory = fs::join(p.pki, directory),
                         .files = {{"new.crt", 0644}, {"cross.crt", 0644}, {"new.key", 0600}},
                         .what = "new CA",
                         .trusted = now.step != CaStep::kNone});
}

Result<void> agree_on_new_key(Cluster& cluster, const Places& p) {
  LAB_TRY(auto now, key_rotation(p));
  return agree(cluster, {.secret = secret_of(kKeyRotation),
                         .directory = fs::join(p.pki, kKeyRotation),
                         .files = {{"new.key", 0600}},
                         .what = "new key for service accounts",
                         .trusted = now.step != CaStep::kNone});
}

Result<void> forget_shared_ca(Cluster& cluster, const std::string& ca) {
  return forget(cluster, rotation_directory(ca));
}

Result<void> forget_shared_key(Cluster& cluster) {
  return forget(cluster, kKeyRotation);
}

}  // namespace lab::bootstrap::certs
