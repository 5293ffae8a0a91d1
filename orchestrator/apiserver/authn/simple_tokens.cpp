// Tokens that are a plain secret: those given to the server as an option, and bootstrap tokens.
#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "orchestrator/api/time.h"
#include "orchestrator/apiserver/authn/token_source.h"
#include "pki/bootstrap_token.h"

namespace lab::apiserver::authn {
namespace {

constexpr std::string_view kGroupPrefix = "system:bootstrappers:";
constexpr std::string_view kNewToken = "make a new one on a control-plane node: lab token create --print-join-command";

class StaticTokens final : public TokenSource {
 public:
  explicit StaticTokens(std::vector<StaticToken> tokens) : tokens_(std::move(tokens)) {}

  Result<std::optional<TokenIdentity>> authenticate(std::string_view token,
                                                    const std::vector<std::string>& audiences) const override {
    for (const auto& t : tokens_)
      if (crypto::equal_constant_time(t.token, token))
        return TokenIdentity{{.username = t.user, .uid = t.uid, .groups = t.groups, .extra = {}}, audiences};
    return std::nullopt;
  }

 private:
  std::vector<StaticToken> tokens_;
};

class BootstrapTokens final : public TokenSource {
 public:
  BootstrapTokens(const ObjectReader& reader, Clock now)
      : reader_(reader), now_(std::move(now)), secrets_(api::find_kind("", "v1", "secrets")) {}

  Result<std::optional<TokenIdentity>> authenticate(std::string_view token,
                                                    const std::vector<std::string>& audiences) const override {
    auto parsed = pki::BootstrapToken::parse(token);
    if (!parsed) return std::nullopt;
    LAB_TRY(auto identity, identity_of(*parsed));
    return TokenIdentity{std::move(identity), audiences};
  }

 private:
  static std::string data(const json::Value& secret, std::string_view key) {
    return crypto::base64_decode(json::str(secret, "data", key)).value_or("");
  }

  Result<Identity> identity_of(const pki::BootstrapToken& token) const {
    std::string what = "bootstrap token \"" + token.id + "\"";
    auto secret = reader_.get(*secrets_, "kube-system", "bootstrap-token-" + token.id);
    if (!secret || json::str(*secret, "type") != "bootstrap.kubernetes.io/token" ||
        json::has(*secret, "metadata", "deletionTimestamp"))
      return fail(Code::kUnauthorized,
                  what +
                      " is unknown to this cluster: it was never made here, or has expired and "
                      "was removed",
                  std::string(kNewToken));
    if (data(*secret, "token-id") != token.id ||
        !crypto::equal_constant_time(data(*secret, "token-secret"), token.secret))
      return fail(Code::kUnauthorized, what + " has another secret than the one given (the part after the dot)",
                  "check that the token was copied whole: lab token list");
    if (std::string text = data(*secret, "expiration"); !text.empty()) {
      auto expires = api::parse_time(text);
      if (!expires)
        return fail(Code::kUnauthorized, what + " has an expiration that is no RFC 3339 time: " + text,
                    std::string(kNewToken));
      if (*expires <= now_())
        return fail(Code::kUnauthorized, what + " expired at " + moment(*expires, now_()), std::string(kNewToken));
    }
    if (data(*secret, "usage-bootstrap-authentication") != "true")
      return fail(Code::kUnauthorized,
                  what + " may not be used to authenticate (its usages do not name authentication)",
                  std::string(kNewToken));
    return Identity{.username = "system:bootstrap:" + token.id,
                    .uid = {},
                    .groups = groups_of(data(*secret, "auth-extra-groups")),
                    .extra = {}};
  }

  // Only groups below system:bootstrappers: may be named, so that a token cannot be made an administrator.
  static std::vector<std::string> groups_of(std::string_view text) {
    std::vector<std::string> out{"system:bootstrappers"};
    while (!text.empty()) {
      auto comma = text.find(',');
      std::string_view group = text.substr(0, comma);
      if (group.starts_with(kGroupPrefix) && group.size() > kGroupPrefix.size()) out.emplace_back(group);
      text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    }
    return out;
  }

  const ObjectReader& reader_;
  Clock now_;
  api::KindPtr secrets_;
};

}  // namespace

std::string moment(WallTime t, WallTime now) {
  auto ago = std::chrono::duration_cast<std::chrono::seconds>(now - t);
  std::string text = api::format_time(t);
  return ago.count() >= 0 ? text + " (" + api::human_duration(ago) + " ago)" : text;
}

std::unique_ptr<TokenSource> static_tokens(std::vector<StaticToken> tokens) {
  return std::make_unique<StaticTokens>(std::move(tokens));
}

std::unique_ptr<TokenSource> bootstrap_tokens(const ObjectReader& reader, Clock now) {
  return std::make_unique<BootstrapTokens>(reader, std::move(now));
}

}  // namespace lab::apiserver::authn
