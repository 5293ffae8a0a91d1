#include "orchestrator/apiserver/chain.h"

#include <exception>

#include "base/crypto/digest.h"
#include "base/log.h"
#include "orchestrator/apiserver/authn/impersonation.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

// Counts a request while it runs.
class InFlight {
 public:
  explicit InFlight(std::atomic<int>& count) : count_(count), before_(count.fetch_add(1)) {}
  ~InFlight() { count_.fetch_sub(1); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;
  int before() const { return before_; }

 private:
  std::atomic<int>& count_;
  int before_;
};

std::string warning_header(const std::string& text) {
  std::string out = "299 - \"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out + "\"";
}

Attributes attributes_of(const RequestContext& ctx) {
  const auto& info = ctx.info;
  Attributes out;
  out.user = &ctx.user;
  out.verb = info.verb;
  out.path = info.path;
  out.resource_request = info.resource_request;
  if (!info.resource_request) return out;
  out.group = info.group;
  out.version = info.version;
  out.resource = info.resource;
  out.subresource = info.subresource;
  out.ns = info.ns;
  out.name = info.name;
  return out;
}

}  // namespace

Result<void> Chain::authenticate(RequestContext& ctx, std::optional<Identity> as) const {
  if (as) {
    ctx.user = std::move(*as);
    return {};
  }
  LAB_TRY(auto user, parts_.authenticator->authenticate(ctx.request));
  if (!user) return fail(Code::kUnauthorized, "Unauthorized");
  ctx.user = std::move(*user);
  return {};
}

Result<void> Chain::impersonate(RequestContext& ctx) const {
  if (!parts_.authorizer) return {};
  LAB_TRY(auto wanted, authn::impersonated(ctx.request.headers, ctx.user, *parts_.authorizer));
  if (wanted) ctx.user = std::move(*wanted);
  return {};
}

Result<void> Chain::authorize(const RequestContext& ctx) const {
  if (!parts_.authorizer) return {};
  auto attributes = attributes_of(ctx);
  auto decision = parts_.authorizer->authorize(attributes);
  if (!decision.allowed()) return Failure(forbidden(attributes, decision));
  return {};
}

Task<Reply> Chain::run(RequestContext& ctx, std::optional<Identity> as) {
  LAB_CO_CHECK(authenticate(ctx, std::move(as)));
  LAB_CO_CHECK(impersonate(ctx));
  LAB_CO_CHECK(authorize(ctx));
  auto& metrics = *parts_.metrics;
  const auto& info = ctx.info;
  bool mutating = info.resource_request && info.mutating();
  InFlight running(info.long_running() ? metrics.long_running
                   : mutating          ? metrics.mutating_in_flight
                                       : metrics.read_in_flight);
  if (!info.long_running() && running.before() >= (mutating ? parts_.max_mutating : parts_.max_read))
    co_return Failure(
        too_many_requests("the server has received too many requests and has asked us to try again later", 1));
  const auto& handler = info.resource_request ? parts_.resources : parts_.paths;
  co_return co_await handler(ctx);
}

Task<Reply> Chain::guarded(RequestContext& ctx, std::optional<Identity> as) {
  std::string what;
  try {
    co_return co_await run(ctx, std::move(as));
  } catch (const std::exception& e) {
    what = e.what();
  }
  log::error(
      "a request handler failed: this is a bug",
      {{"method", ctx.request.method}, {"target", ctx.request.target}, {"audit_id", ctx.audit_id}, {"what", what}});
  co_return fail(Code::kInternal,
                 "an error on the server (\"" + what + "\") has prevented the request from succeeding");
}

Task<void> Chain::serve(http::Request request, http::ResponseWriter& writer, std::optional<Identity> as) {
  auto started = Loop::current()->now();
  RequestContext ctx{.request = std::move(request),
                     .query = {},
                     .info = {},
                     .user = {},
                     .audit_id = {},
                     .writer = writer,
                     .warnings = {}};
  ctx.query = http::Query(ctx.request.raw_query());
  ctx.info = request_info(ctx.request, ctx.query);
  ctx.audit_id = ctx.request.headers.get("Audit-Id");
  if (ctx.audit_id.empty()) ctx.audit_id = crypto::random_uuid();

  auto reply = co_await guarded(ctx, std::move(as));
  int code = 200;
  if (!reply || *reply) {
    auto response = reply ? std::move(**reply) : error_response(reply.error());
    code = response.status;
    response.headers.set("Audit-Id", ctx.audit_id);
    if (!response.headers.has("Cache-Control")) response.headers.set("Cache-Control", "no-cache, private");
    for (const auto& warning : ctx.warnings) response.headers.add("Warning", warning_header(warning));
    if (ctx.request.method == "HEAD") response.body.clear();
    (void)co_await writer.send(std::move(response));  // a client that has gone is no failure of ours
  }
  parts_.metrics->request(ctx.info.verb, ctx.info.resource, ctx.info.subresource, code,
                          Loop::current()->now() - started);
}

}  // namespace lab::apiserver
