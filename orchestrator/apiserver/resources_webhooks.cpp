// Admission webhooks of requests by which no object is written: reviews, tokens, bindings, evictions, and connections
// to pods, services and nodes.
#include <cstdlib>

#include "orchestrator/apiserver/resources.h"

namespace lab::apiserver {
namespace {

std::string kind_of_connection(const api::Kind& kind, std::string_view subresource) {
  const std::string of = kind.plural == "pods" ? "Pod" : kind.plural == "nodes" ? "Node" : "Service";
  if (subresource == "exec") return of + "ExecOptions";
  if (subresource == "attach") return of + "AttachOptions";
  return of + (subresource == "portforward" ? "PortForwardOptions" : "ProxyOptions");
}

// PodExecOptions and its like, as the query gives them.
json::Value connection_options(const RequestContext& request, const std::string& kind) {
  json::Object out{{"kind", kind}, {"apiVersion", "v1"}};
  const auto& query = request.query;
  const auto& subresource = request.info.subresource;
  if (subresource == "proxy") {
    std::string path;
    for (const auto& part : request.info.rest) path += "/" + part;
    if (!path.empty()) out["path"] = path;
    return out;
  }
  if (subresource == "portforward") {
    json::Array ports;
    for (auto port : query.all("ports")) ports.emplace_back(std::atoi(std::string(port).c_str()));
    if (!ports.empty()) out["ports"] = std::move(ports);
    return out;
  }
  for (auto stream : {"stdin", "stdout", "stderr", "tty"})
    if (query.flag(stream)) out[stream] = true;
  if (auto container = query.get("container"); !container.empty()) out["container"] = container;
  json::Array command;
  for (auto word : query.all("command")) command.emplace_back(word);
  if (!command.empty()) out["command"] = std::move(command);
  return out;
}

Task<Result<void>> admit(std::unique_ptr<WebhookRun> run, json::Value& object) {
  if (!run) co_return Result<void>();
  LAB_CO_TRY(const bool changed, co_await run->mutate(nullptr, &object));
  if (changed) {
    LAB_CO_TRY([[maybe_unused]] const bool again, co_await run->mutate(nullptr, &object));
  }
  co_return co_await run->validate(nullptr, &object);
}

}  // namespace

Task<Result<void>> Resources::admit_call(RequestContext& request, Target target, WriteOptions options,
                                         json::Value& body) {
  webhooks::ObjectKind kind{target.kind->group, target.kind->version, target.kind->kind};
  if (auto name = json::str(body, "kind"); !name.empty()) {
    const auto version = json::str(body, "apiVersion");
    const auto slash = version.find('/');
    kind.group = slash == std::string_view::npos ? "" : version.substr(0, slash);
    kind.version = slash == std::string_view::npos ? version : version.substr(slash + 1);
    kind.kind = name;
  }
  json::Object given{{"kind", "CreateOptions"}, {"apiVersion", "meta.k8s.io/v1"}};
  if (options.dry_run) given["dryRun"] = json::Array{"All"};
  const Admission admission{.operation = "CREATE",
                            .resource = target.kind,
                            .object = nullptr,
                            .kind = std::move(kind),
                            .subresource = request.info.subresource,
                            .ns = target.ns,
                            .name = target.name,
                            .user = &request.user,
                            .dry_run = options.dry_run,
                            .options = std::move(given),
                            .warnings = &request.warnings};
  co_return co_await admit(registry_.webhooks().begin(admission), body);
}

Task<Result<void>> Resources::admit_connection(RequestContext& request, Target target) {
  const auto kind = kind_of_connection(*target.kind, request.info.subresource);
  const Admission admission{.operation = "CONNECT",
                            .resource = target.kind,
                            .object = nullptr,
                            .kind = {"", "v1", kind},
                            .subresource = request.info.subresource,
                            .ns = target.ns,
                            .name = target.name,
                            .user = &request.user,
                            .dry_run = false,
                            .options = {},
                            .warnings = &request.warnings};
  json::Value object = connection_options(request, kind);
  co_return co_await admit(registry_.webhooks().begin(admission), object);
}

}  // namespace lab::apiserver
