#include <algorithm>
#include <ctime>

#include "base/fs.h"
#include "bootstrap/certs/certs.h"
#include "bootstrap/certs/files.h"
#include "orchestrator/api/time.h"

namespace lab::bootstrap::certs {

namespace {

Result<Expiration> expiration_of(const Row& row, const Places& places) {
  Expiration out{.name = row.name, .ca = ca_name(row.ca)};
  out.externally_managed = !fs::exists(fs::join(places.pki, row.ca + ".key"));
  if (!fs::exists(certificate_path(row, places))) {
    out.missing = true;
    return out;
  }
  LAB_TRY(auto pem, certificate_of(row, places));
  auto info = pki::inspect(pem);
  if (!info) return std::unexpected(std::move(info).error().with_context(certificate_path(row, places)));
  out.ends = info->not_after;
  return out;
}

std::string date_text(pki::WallTime t) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(t);
  std::tm tm{};
  char text[64];
  std::strftime(text, sizeof text, "%b %d, %Y %H:%M UTC", ::gmtime_r(&seconds, &tm));
  return text;
}

std::chrono::seconds left_of(const Expiration& e, pki::WallTime now) {
  return std::chrono::duration_cast<std::chrono::seconds>(e.ends - now);
}

// Columns as wide as their widest cell and three blanks more, as Go's tabwriter sets them.
std::string table_text(const std::vector<std::vector<std::string>>& lines) {
  std::vector<std::size_t> widths(lines[0].size());
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  std::string out;
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i)
      text += line[i] +
              (i + 1 < line.size() ? std::string(std::max<std::size_t>(widths[i] + 3, 10) - line[i].size(), ' ') : "");
    out += text + "\n";
  }
  return out;
}

std::vector<std::string> cells(const Expiration& e, pki::WallTime now, bool with_ca) {
  std::vector<std::string> out{e.missing ? "!MISSING! " + e.name : e.name, e.missing ? "" : date_text(e.ends),
                               e.missing ? "" : residual_text(left_of(e, now))};
  if (with_ca) out.push_back(e.missing ? "" : e.ca);
  out.emplace_back(e.missing ? "" : e.externally_managed ? "yes" : "no");
  return out;
}

json::Object object(const Expiration& e, pki::WallTime now) {
  json::Object out{{"name", e.name}, {"externallyManaged", e.externally_managed}, {"missing", e.missing}};
  if (e.missing) return out;
  out["expirationDate"] = api::format_time(e.ends);
  out["residualTime"] = left_of(e, now).count();
  return out;
}

}  // namespace

Result<Expirations> check_expiration(const Places& places) {
  Expirations out;
  for (const auto& row : rows()) {
    LAB_TRY(auto e, expiration_of(row, places));
    if (!e.missing || !row.optional) out.certificates.push_back(std::move(e));
  }
  for (const char* path : {"ca", "etcd/ca", "front-proxy-ca"}) {
    LAB_TRY(auto e, expiration_of({.name = ca_name(path), .path = path, .ca = path}, places));
    e.ca.clear();
    if (!e.missing || std::string(path) != "etcd/ca") out.authorities.push_back(std::move(e));
  }
  return out;
}

std::string residual_text(std::chrono::seconds left) {
  const auto s = left.count();
  if (s < -1) return "<invalid>";
  if (s < 60) return std::to_string(std::max<std::int64_t>(s, 0)) + "s";
  if (s < 3600) return std::to_string(s / 60) + "m";
  if (s < 86400) return std::to_string(s / 3600) + "h";
  if (s < 365 * 86400) return std::to_string(s / 86400) + "d";
  return std::to_string(s / (365 * 86400)) + "y";
}

std::string expiration_text(const Expirations& e, pki::WallTime now) {
  std::vector<std::vector<std::string>> first{
      {"CERTIFICATE", "EXPIRES", "RESIDUAL TIME", "CERTIFICATE AUTHORITY", "EXTERNALLY MANAGED"}};
  std::vector<std::vector<std::string>> second{
      {"CERTIFICATE AUTHORITY", "EXPIRES", "RESIDUAL TIME", "EXTERNALLY MANAGED"}};
  for (const auto& c : e.certificates) first.push_back(cells(c, now, true));
  for (const auto& c : e.authorities) second.push_back(cells(c, now, false));
  return table_text(first) + "\n" + table_text(second);
}

json::Value expiration_json(const Expirations& e, pki::WallTime now) {
  json::Array certificates, authorities;
  for (const auto& c : e.certificates) {
    auto one = object(c, now);
    one["caName"] = c.ca;
    certificates.push_back(std::move(one));
  }
  for (const auto& c : e.authorities) authorities.push_back(object(c, now));
  return json::Object{{"kind", "CertificateExpirationInfo"},
                      {"apiVersion", "output.kubeadm.k8s.io/v1alpha3"},
                      {"certificates", std::move(certificates)},
                      {"certificateAuthorities", std::move(authorities)}};
}

}  // namespace lab::bootstrap::certs
