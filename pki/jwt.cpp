#include "pki/jwt.h"

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"

namespace lab::pki {

namespace {

std::string_view alg_of(KeyAlgorithm a) { return a == KeyAlgorithm::kRsa2048 ? "RS256" : "ES256"; }

struct Parts {
  std::string_view signed_text, header, payload, signature;
};

Result<Parts> split(std::string_view token) {
  auto first = token.find('.');
  auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos)
    return fail(Code::kUnauthorized, "the token is no JSON Web Token: it has not three parts");
  return Parts{token.substr(0, second), token.substr(0, first), token.substr(first + 1, second - first - 1),
               token.substr(second + 1)};
}

Result<json::Value> decode_part(std::string_view part) {
  LAB_TRY(auto text, crypto::base64url_decode(part));
  return json::parse(text);
}

}  // namespace

std::string key_id(const PublicKey& key) { return crypto::base64url_encode(crypto::sha256(key.der())); }

std::string sign_jwt(const PrivateKey& key, const json::Value& claims) {
  auto public_key = PublicKey::from_pem(key.public_pem());
  json::Object header{{"alg", alg_of(key.algorithm())}, {"kid", key_id(*public_key)}};
  std::string text = crypto::base64url_encode(json::dump(header)) + "." + crypto::base64url_encode(json::dump(claims));
  return text + "." + crypto::base64url_encode(key.sign_jose(text));
}

Result<json::Value> verify_jwt(const std::vector<PublicKey>& keys, std::string_view token) {
  LAB_TRY(auto parts, split(token));
  auto header = decode_part(parts.header);
  auto signature = crypto::base64url_decode(parts.signature);
  if (!header || !signature) return fail(Code::kUnauthorized, "the token is malformed");
  std::string_view alg = json::str(*header, "alg");
  for (const auto& key : keys) {
    if (alg_of(key.algorithm()) != alg) continue;
    if (!key.verify_jose(parts.signed_text, *signature)) continue;
    auto claims = decode_part(parts.payload);
    if (!claims) return fail(Code::kUnauthorized, "the token's claims are malformed");
    return claims;
  }
  return fail(Code::kUnauthorized, "the token's signature was not made by a key of this cluster");
}

Result<json::Value> peek_jwt(std::string_view token) {
  LAB_TRY(auto parts, split(token));
  return decode_part(parts.payload);
}

std::string token_key_id(std::string_view token) {
  auto parts = split(token);
  if (!parts) return {};
  auto header = decode_part(parts->header);
  return header ? std::string(json::str(*header, "kid")) : std::string();
}

Result<std::vector<PublicKey>> public_keys(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN";
  std::vector<PublicKey> out;
  for (auto at = pem.find(kBegin); at != std::string_view::npos;) {
    const auto next = pem.find(kBegin, at + kBegin.size());
    LAB_TRY(auto key, PublicKey::from_pem(pem.substr(at, next == std::string_view::npos ? next : next - at)));
    out.push_back(std::move(key));
    at = next;
  }
  if (out.empty()) return fail(Code::kInvalid, "this PEM text holds no public key");
  return out;
}

json::Value jwks(const std::vector<PublicKey>& keys) {
  json::Array list;
  for (const auto& key : keys) {
    auto jwk = key.jwk();
    json::Object entry{{"use", "sig"}, {"kty", jwk.kty}, {"kid", key_id(key)}, {"alg", alg_of(key.algorithm())}};
    if (jwk.kty == "EC") {
      entry["crv"] = jwk.crv;
      entry["x"] = jwk.x;
      entry["y"] = jwk.y;
    } else {
      entry["n"] = jwk.n;
      entry["e"] = jwk.e;
    }
    list.push_back(std::move(entry));
  }
  return json::Object{{"keys", std::move(list)}};
}

}  // namespace lab::pki
