#include "pki/bootstrap_token.h"

#include <algorithm>
#include <vector>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"

namespace lab::pki {

namespace {

constexpr std::size_t kIdLength = 6, kSecretLength = 16;
constexpr std::size_t kExpiredKept = 32;

bool token_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

std::vector<std::string_view> split(std::string_view list, char at) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const auto end = std::min(list.find(at), list.size());
    if (end > 0) out.push_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return out;
}

}  // namespace

BootstrapToken BootstrapToken::generate() {
  return {crypto::random_text(kIdLength), crypto::random_text(kSecretLength)};
}

Result<BootstrapToken> BootstrapToken::parse(std::string_view text) {
  auto dot = text.find('.');
  if (dot == kIdLength && text.size() == kIdLength + 1 + kSecretLength && token_text(text.substr(0, dot)) &&
      token_text(text.substr(dot + 1)))
    return BootstrapToken{std::string(text.substr(0, dot)), std::string(text.substr(dot + 1))};
  return fail(Code::kInvalid, "the bootstrap token \"" + std::string(text) + "\" is not of the form \"[a-z0-9]{6}.[a-z0-9]{16}\"",
              "make one on the master: lab token create --print-join-command");
}

std::string sign_cluster_info(std::string_view kubeconfig, const BootstrapToken& token) {
  std::string header = crypto::base64url_encode(R"({"alg":"HS256","kid":")" + token.id + R"("})");
  std::string mac = crypto::hmac_sha256(token.secret, header + "." + crypto::base64url_encode(kubeconfig));
  return header + ".." + crypto::base64url_encode(mac);
}

bool verify_cluster_info(std::string_view kubeconfig, std::string_view jws, const BootstrapToken& token) {
  auto gap = jws.find("..");
  if (gap == std::string_view::npos) return false;
  std::string header(jws.substr(0, gap));
  std::string mac = crypto::hmac_sha256(token.secret, header + "." + crypto::base64url_encode(kubeconfig));
  return crypto::equal_constant_time(crypto::base64url_encode(mac), jws.substr(gap + 2));
}

std::string with_expired_token(std::string_view list, const std::string& id, const std::string& time) {
  std::vector<std::string> kept;
  for (auto entry : split(list, ','))
    if (!entry.starts_with(id + "=")) kept.emplace_back(entry);
  kept.push_back(id + "=" + time);
  std::string out;
  for (std::size_t i = kept.size() > kExpiredKept ? kept.size() - kExpiredKept : 0; i < kept.size(); ++i)
    out += (out.empty() ? "" : ",") + kept[i];
  return out;
}

std::string expired_token_time(std::string_view list, std::string_view id) {
  for (auto entry : split(list, ','))
    if (entry.size() > id.size() && entry.starts_with(id) && entry[id.size()] == '=')
      return std::string(entry.substr(id.size() + 1));
  return {};
}

}  // namespace lab::pki
