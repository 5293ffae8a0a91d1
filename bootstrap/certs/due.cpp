#include <algorithm>

#include "base/fs.h"
#include "bootstrap/certs/certs.h"
#include "bootstrap/certs/files.h"
#include "pki/rotation.h"

namespace lab::bootstrap::certs {

namespace {

// Certificates are dated back by so much (pki/certificate.h).
constexpr std::chrono::hours kBackdated{1};

// The validity to renew with; nothing where there is nothing to do.
Result<std::optional<std::chrono::hours>> due(const Row& row, const Places& places, const std::string& name,
                                              pki::WallTime now) {
  auto ca = fs::read_file(fs::join(places.pki, row.ca + ".crt"));
  if (!ca || !fs::exists(fs::join(places.pki, row.ca + ".key")) || !fs::exists(certificate_path(row, places)))
    return std::nullopt;
  LAB_TRY(auto pem, certificate_of(row, places));
  LAB_TRY(auto info, pki::inspect(pem));
  const auto bundle = pki::split_bundle(*ca);
  if (std::ranges::none_of(bundle, [&](const std::string& one) { return pki::signed_by(pem, one); }))
    return std::nullopt;
  if (now < pki::rotation_time(info.not_before, info.not_after, name)) return std::nullopt;
  const auto life = std::chrono::duration_cast<std::chrono::hours>(info.not_after - info.not_before) - kBackdated;
  return std::max(life, std::chrono::hours(1));
}

}  // namespace

Renewed renew_due(const Places& places, const std::string& name, pki::WallTime now) {
  Renewed out;
  for (const auto& row : rows()) {
    auto validity = due(row, places, name, now);
    if (validity && !*validity) continue;
    auto done = validity ? renew(row, {.places = places, .validity = **validity})
                         : Result<bool>(std::unexpected(std::move(validity).error()));
    if (!done) {
      out.problems.push_back(row.name + ": " + done.error().text());
      continue;
    }
    out.names.push_back(row.name);
    // etcd reads its own files at every handshake.
    out.read_by_server = out.read_by_server || (!row.kubeconfig && !row.path.starts_with("etcd/"));
  }
  return out;
}

}  // namespace lab::bootstrap::certs
