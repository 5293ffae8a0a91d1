#include "orchestrator/apiserver/authn/authenticator.h"

#include "base/crypto/encoding.h"
#include "orchestrator/apiserver/authn/token_source.h"

namespace lab::apiserver::authn {
namespace {

constexpr std::string_view kWebSocketBearer = "base64url.bearer.authorization.k8s.io.";

bool same_word(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

void add_authenticated(Identity& identity) {
  if (!identity.in_group(kAuthenticatedGroup)) identity.groups.emplace_back(kAuthenticatedGroup);
}

}  // namespace

std::string bearer_token(const http::Request& request) {
  std::string_view header = trim(request.headers.get("Authorization"));
  auto space = header.find(' ');
  if (space != std::string_view::npos && same_word(header.substr(0, space), "bearer"))
    return std::string(trim(header.substr(space + 1)));
  for (std::string_view list : request.headers.all("Sec-WebSocket-Protocol"))
    while (!list.empty()) {
      auto comma = list.find(',');
      std::string_view protocol = trim(list.substr(0, comma));
      if (protocol.starts_with(kWebSocketBearer))
        if (auto token = crypto::base64url_decode(protocol.substr(kWebSocketBearer.size()))) return *token;
      list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
    }
  return {};
}

ChainAuthenticator::ChainAuthenticator(Options options, const ObjectReader& reader) : options_(std::move(options)) {
  if (!options_.now) options_.now = [] { return std::chrono::system_clock::now(); };
  sources_.push_back(static_tokens(options_.tokens));
  sources_.push_back(bootstrap_tokens(reader, options_.now));
  sources_.push_back(service_account_tokens(options_, reader));
}

ChainAuthenticator::~ChainAuthenticator() = default;

Result<TokenIdentity> ChainAuthenticator::authenticate_token(std::string_view token,
                                                             const std::vector<std::string>& audiences) const {
  for (const auto& source : sources_) {
    LAB_TRY(auto found, source->authenticate(token, audiences.empty() ? options_.own_audiences() : audiences));
    if (!found) continue;
    add_authenticated(found->identity);
    return std::move(*found);
  }
  return fail(
      Code::kUnauthorized, "the bearer token is unknown to this cluster",
      "check that the token is whole and belongs to this cluster; a kubeconfig of another cluster gives this too");
}

Result<std::optional<Identity>> ChainAuthenticator::authenticate(const http::Request& request) const {
  if (const auto& cn = request.peer.certificate_subject_cn; !cn.empty()) {
    Identity identity{.username = cn, .uid = {}, .groups = request.peer.certificate_organizations, .extra = {}};
    add_authenticated(identity);
    return identity;
  }
  if (std::string token = bearer_token(request); !token.empty()) {
    LAB_TRY(auto found, authenticate_token(token, {}));
    return std::move(found.identity);
  }
  if (!request.peer.certificate_pem.empty())  // given without a name: not verified. Nobody becomes anonymous by that
    return fail(Code::kUnauthorized,
                "the client certificate is not accepted: not signed by this cluster's CA, or expired",
                "use the kubeconfig of this cluster: another one's gives this too");
  if (options_.anonymous)
    return Identity{.username = std::string(kAnonymousUser),
                    .uid = {},
                    .groups = {std::string(kUnauthenticatedGroup)},
                    .extra = {}};
  return fail(Code::kUnauthorized, "the request carries no credentials, and this server takes no anonymous requests",
              "give a client certificate or a bearer token: use the kubeconfig of this cluster");
}

}  // namespace lab::apiserver::authn
