#include "orchestrator/apiserver/paths.h"

#include <algorithm>

#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

http::Response text_response(int status, std::string text, std::string type = "text/plain; charset=utf-8") {
  http::Response out;
  out.status = status;
  out.headers.set("Content-Type", std::move(type));
  out.headers.set("X-Content-Type-Options", "nosniff");
  out.body.push_back(http::buffer(std::move(text)));
  return out;
}

http::Response json_response(const json::Value& value) {
  return text_response(200, json::dump(value) + "\n", "application/json");
}

}  // namespace

Paths::Paths(Parts parts) : parts_(std::move(parts)), discovery_(*parts_.kinds, parts_.externals) {}

Task<Reply> Paths::serve(RequestContext& request) {
  std::string_view path = request.info.path;
  const auto& method = request.request.method;
  if (method != "GET" && method != "HEAD") co_return Failure(method_not_supported(method));
  if (path.starts_with("/api")) {
    if (auto found = discovery_.serve(request.request, path)) co_return std::move(*found);
    co_return Failure(not_found_path());
  }
  if (path.starts_with("/openapi/")) co_return openapi(request.request, path);
  if (path == "/version" || path == "/version/") co_return version();
  if (path.starts_with("/healthz") || path.starts_with("/livez") || path.starts_with("/readyz"))
    co_return health(request, path);
  if (path == "/metrics")
    co_return text_response(200, parts_.metrics->text() + (parts_.gauges ? parts_.gauges() : ""),
                            "text/plain; version=0.0.4; charset=utf-8");
  if (path == "/.well-known/openid-configuration" && !parts_.key_set.is_null()) co_return openid_configuration();
  if (path == "/openid/v1/jwks" && !parts_.key_set.is_null())
    co_return text_response(200, json::dump(parts_.key_set), "application/jwk-set+json");
  if (path == "/" || path.empty()) co_return index();
  co_return Failure(not_found_path());
}

http::Response Paths::index() const {
  json::Array paths{"/.well-known/openid-configuration", "/api", "/api/v1", "/apis"};
  std::vector<std::string> seen;
  for (const auto& kind : parts_.kinds->snapshot()->kinds) {
    if (kind->group.empty()) continue;
    for (const auto& path : {"/apis/" + kind->group, "/apis/" + kind->group + "/" + kind->version})
      if (std::ranges::find(seen, path) == seen.end()) seen.push_back(path);
  }
  std::ranges::sort(seen);
  for (const auto& path : seen) paths.emplace_back(path);
  for (auto path :
       {"/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/readyz", "/version"})
    paths.emplace_back(path);
  return json_response(json::Object{{"paths", std::move(paths)}});
}

http::Response Paths::version() const {
  return json_response(json::Object{{"major", "1"},
                                    {"minor", "32"},
                                    {"gitVersion", "v1.32.3+lab"},
                                    {"gitCommit", ""},
                                    {"gitTreeState", "clean"},
                                    {"buildDate", "1970-01-01T00:00:00Z"},
                                    {"goVersion", ""},
                                    {"compiler", "clang"},
                                    {"platform", "linux/amd64"}});
}

http::Response Paths::openid_configuration() const {
  return json_response(json::Object{{"issuer", parts_.issuer},
                                    {"jwks_uri", parts_.issuer + "/openid/v1/jwks"},
                                    {"response_types_supported", json::Array{"id_token"}},
                                    {"subject_types_supported", json::Array{"public"}},
                                    {"id_token_signing_alg_values_supported", json::Array{"RS256", "ES256"}}});
}

// /readyz, /readyz/NAME, ?verbose, ?exclude=NAME: as kube-apiserver prints them.
http::Response Paths::health(const RequestContext& request, std::string_view path) const {
  path.remove_prefix(1);
  auto slash = path.find('/');
  std::string endpoint(path.substr(0, slash));
  auto only = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  auto excluded = request.query.all("exclude");
  std::string lines;
  bool failed = false, found = only.empty();
  for (const auto& check : parts_.checks) {
    if (endpoint == "livez" && !check.live) continue;
    if (!only.empty() && check.name != only) continue;
    found = true;
    if (std::ranges::find(excluded, std::string_view(check.name)) != excluded.end()) {
      lines += "[+]" + check.name + " excluded: ok\n";
      continue;
    }
    bool ok = check.ok();
    failed |= !ok;
    lines += (ok ? "[+]" + check.name + " ok\n" : "[-]" + check.name + " failed: reason withheld\n");
  }
  if (!found) return error_response(not_found_path());
  if (failed) return text_response(500, lines + endpoint + " check failed\n");
  if (!request.query.has("verbose")) return text_response(200, "ok");
  return text_response(200, lines + endpoint + " check passed\n");
}

}  // namespace lab::apiserver
