// What the HTTPS server asks of the agent.
#include "orchestrator/agent/agent_impl.h"

namespace lab::agent {

namespace {

Result<bool> reviewed(const Result<json::Value>& answer, std::string_view field) {
  if (!answer) return std::unexpected(answer.error());
  return json::flag(*answer, "status", field);
}

}  // namespace

Result<FoundContainer> Agent::Impl::find_container_of(const std::string& ns, const std::string& pod,
                                                      const std::string& container, bool previous) {
  auto* w = find(ns, pod);
  if (!w) return fail(Code::kNotFound, "pod \"" + pod + "\" not found in namespace \"" + ns + "\" on this node");
  FoundContainer out;
  if (const auto* s = w->runtime().ready_sandbox()) out.sandbox_id = s->id;
  if (container.empty()) return out;
  auto declared = find_container(*w->pod(), container);
  if (!declared) return fail(Code::kNotFound, "container \"" + container + "\" not found in pod \"" + pod + "\"");
  const auto* c = previous ? w->runtime().previous(container) : w->runtime().latest(container);
  // A container that waits for its next start shows the log of the one that ended.
  if (!c && previous)
    return fail(Code::kBadRequest,
                "previous terminated container \"" + container + "\" in pod \"" + pod + "\" not found");
  if (!c) {
    for (const char* list : {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"})
      for (const auto& s : json::list(w->status(), list))
        if (json::str(s, "name") == container) out.state = std::string(json::str(s, "state", "waiting", "reason"));
    if (out.state.empty()) out.state = "ContainerCreating";
    return out;
  }
  out.container_id = c->id;
  out.stdin_once = json::flag(*declared->spec, "stdinOnce");
  out.running = c->state == cri::ContainerState::kRunning;
  out.state = out.running ? "running" : "terminated";
  out.log_path = pod_log_directory(options, *w->pod()) + "/" + container + "/" + std::to_string(c->attempt) + ".log";
  return out;
}

Task<Result<bool>> Agent::Impl::authorize(std::string token, std::string verb, std::string subresource) {
  static constexpr client::Resource kTokenReviews{"authentication.k8s.io", "v1", "tokenreviews", "TokenReview", false};
  static constexpr client::Resource kAccessReviews{"authorization.k8s.io", "v1", "subjectaccessreviews",
                                                   "SubjectAccessReview", false};
  json::Value review{{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "TokenReview"}, {"spec", {{"token", token}}}};
  auto who = co_await api->create(kTokenReviews, "", std::move(review));
  LAB_CO_TRY(bool known, reviewed(who, "authenticated"));
  if (!known) co_return fail(Code::kUnauthorized, "Unauthorized");
  json::Value ask{{"apiVersion", "authorization.k8s.io/v1"}, {"kind", "SubjectAccessReview"}};
  json::set(ask, json::at(*who, "status", "user", "username"), "spec", "user");
  json::set(ask, json::at(*who, "status", "user", "groups"), "spec", "groups");
  json::set(ask, verb, "spec", "resourceAttributes", "verb");
  json::set(ask, "nodes", "spec", "resourceAttributes", "resource");
  json::set(ask, subresource, "spec", "resourceAttributes", "subresource");
  json::set(ask, options.node_name, "spec", "resourceAttributes", "name");
  auto may = co_await api->create(kAccessReviews, "", std::move(ask));
  co_return reviewed(may, "allowed");
}

ServerBackend Agent::Impl::make_backend() {
  ServerBackend b{.loop = loop, .cri = cri, .pool = pool, .machine = machine};
  b.pods = [this] { return pods(); };
  b.find = [this](std::string ns, std::string pod, std::string container, bool previous) {
    return find_container_of(ns, pod, container, previous);
  };
  b.knows = [this](const std::string& ns, const std::string& pod) {
    const auto* worker = find(ns, pod);
    return worker ? worker->observed_once() : sources_known();
  };
  if (api)
    b.authorize = [this](std::string token, std::string verb, std::string subresource) {
      return authorize(std::move(token), std::move(verb), std::move(subresource));
    };
  b.healthy = [this] { return runtime.listed_once() && runtime.last_error().empty(); };
  return b;
}

}  // namespace lab::agent
