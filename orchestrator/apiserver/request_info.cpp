#include "orchestrator/apiserver/request_info.h"

#include <algorithm>
#include <array>

#include "orchestrator/api/selector.h"

namespace lab::apiserver {
namespace {

constexpr std::array<std::string_view, 2> kNamespaceSubresources{"status", "finalize"};

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> out;
  while (!path.empty()) {
    auto slash = path.find('/');
    auto part = path.substr(0, slash);
    if (!part.empty()) out.push_back(http::percent_decode(part));
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
  }
  return out;
}

std::string verb_of(std::string_view method) {
  if (method == "POST") return "create";
  if (method == "GET" || method == "HEAD") return "get";
  if (method == "PUT") return "update";
  if (method == "PATCH") return "patch";
  if (method == "DELETE") return "delete";
  return {};
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// metadata.name=X makes a list or watch one of a single object.
std::string name_in_selector(const http::Query& query) {
  auto text = query.get("fieldSelector");
  if (text.empty()) return {};
  auto selector = api::FieldSelector::parse(text);
  if (!selector) return {};
  for (const auto& r : selector->requirements())
    if (r.equal && r.path == "metadata.name") return r.value;
  return {};
}

}  // namespace

bool RequestInfo::long_running() const {
  if (!resource_request) return false;
  return verb == "watch" || subresource == "exec" || subresource == "attach" || subresource == "portforward" ||
         subresource == "log" || subresource == "proxy";
}

RequestInfo request_info(const http::Request& request, const http::Query& query) {
  RequestInfo info;
  info.path = http::percent_decode(request.path());
  info.verb = lower(request.method);
  auto parts = segments_of(request.path());
  std::size_t at = 0;
  auto more = [&](std::size_t n) { return parts.size() >= at + n; };
  if (parts.size() < 3 || (parts[0] != "api" && parts[0] != "apis")) return info;
  if (parts[0] == "apis") {
    if (parts.size() < 4) return info;
    info.group = parts[1];
    at = 1;
  }
  info.version = parts[at + 1];
  at += 2;
  info.resource_request = true;
  info.verb = verb_of(request.method);
  bool old_watch = parts[at] == "watch" && more(2);  // /api/v1/watch/...: the form before ?watch=true
  if (old_watch) ++at;
  if (parts[at] == "namespaces" && more(2)) {
    info.ns = parts[at + 1];
    bool of_namespace = parts.size() == at + 2 ||
                        std::ranges::find(kNamespaceSubresources, parts[at + 2]) != kNamespaceSubresources.end();
    if (!of_namespace) at += 2;
  }
  info.resource = parts[at];
  if (more(2)) info.name = parts[at + 1];
  if (more(3)) info.subresource = parts[at + 2];
  if (parts.size() > at + 3) info.rest.assign(parts.begin() + static_cast<std::ptrdiff_t>(at) + 3, parts.end());
  // A Namespace's own namespace is itself, for authorisation.
  if (info.verb == "get" && (info.name.empty() || old_watch)) {
    bool watch = old_watch || query.flag("watch");
    info.verb = watch ? "watch" : "list";
    if (info.name.empty()) info.name = name_in_selector(query);
  } else if (info.verb == "delete" && info.name.empty()) {
    info.verb = "deletecollection";
  }
  return info;
}

}  // namespace lab::apiserver
