#include <algorithm>

#include "orchestrator/api/openapi_parts.h"

namespace lab::api {

namespace {

using json::Array;
using json::Object;

struct Parameter {
  std::string_view name, type, doc;
};

constexpr Parameter kPretty{"pretty", "string", "If 'true', then the output is pretty printed."};
constexpr Parameter kDryRun{
    "dryRun", "string",
    "When present, indicates that modifications should not be persisted. Valid values are: - All: "
    "all dry run stages will be processed"};
constexpr Parameter kFieldManager{"fieldManager", "string",
                                  "fieldManager is a name associated with the actor or entity that is making these "
                                  "changes, at most 128 printable characters."};
constexpr Parameter kFieldValidation{"fieldValidation", "string",
                                     "fieldValidation says what to do about unknown or duplicate fields: Ignore drops "
                                     "them, Warn also answers with a warning, Strict refuses the request."};
constexpr Parameter kForce{"force", "boolean",
                           "Force is going to \"force\" Apply requests: it takes over fields that other managers own."};
constexpr Parameter kList[] = {
    {"allowWatchBookmarks", "boolean", "allowWatchBookmarks requests watch events with type \"BOOKMARK\"."},
    {"continue", "string", "The continue option should be set when retrieving more results from the server."},
    {"fieldSelector", "string", "A selector to restrict the list of returned objects by their fields."},
    {"labelSelector", "string", "A selector to restrict the list of returned objects by their labels."},
    {"limit", "integer", "limit is a maximum number of responses to return for a list call."},
    {"resourceVersion", "string",
     "resourceVersion sets a constraint on what resource versions a request may be served from."},
    {"resourceVersionMatch", "string", "resourceVersionMatch determines how resourceVersion is applied to list calls."},
    {"sendInitialEvents", "boolean",
     "`sendInitialEvents=true` starts a watch with events for what exists, ended by a bookmark."},
    {"timeoutSeconds", "integer", "Timeout for the list/watch call."},
    {"watch", "boolean", "Watch for changes and return them as a stream of add, update, and remove notifications."},
};
constexpr Parameter kDelete[] = {
    {"gracePeriodSeconds", "integer",
     "The duration in seconds before the object should be deleted; zero deletes at once."},
    {"orphanDependents", "boolean", "Deprecated: please use the PropagationPolicy."},
    {"propagationPolicy", "string",
     "Whether and how garbage collection will be performed: 'Orphan', 'Background' or 'Foreground'."},
};

Object parameter(const Parameter& p, bool v3, std::string_view in = "query") {
  Object out{{"name", json::Value(p.name)}, {"in", json::Value(in)}, {"description", json::Value(p.doc)}};
  if (in == "path") out["required"] = true;
  if (v3)
    out["schema"] = Object{{"type", json::Value(p.type)}, {"uniqueItems", true}};
  else {
    out["type"] = json::Value(p.type);
    out["uniqueItems"] = true;
  }
  return out;
}

// "rbac.authorization.k8s.io" -> "RbacAuthorization"
std::string group_words(std::string_view group) {
  if (group.empty()) return "Core";
  std::string out;
  if (group.ends_with(".k8s.io")) group.remove_suffix(7);
  bool up = true;
  for (char c : group) {
    if (c == '.' || c == '-') {
      up = true;
      continue;
    }
    out += up && c >= 'a' && c <= 'z' ? char(c - 32) : c;
    up = false;
  }
  return out;
}

std::string capital(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = char(text[0] - 32);
  return text;
}

// A subresource with paths of its own: who has it, its methods, and the kind it speaks.
struct Subresource {
  std::string_view group, plural, name, methods;  // methods: g get, u put, p patch, c post
  std::string_view kind_group, kind_version, kind, type;
};
constexpr Subresource kSubresources[] = {
    {"", "pods", "binding", "c", "", "v1", "Binding", "k8s.io.api.core.v1.Binding"},
    {"", "pods", "eviction", "c", "policy", "v1", "Eviction", "k8s.io.api.policy.v1.Eviction"},
    {"", "pods", "ephemeralcontainers", "gup", "", "v1", "Pod", "k8s.io.api.core.v1.Pod"},
    {"", "pods", "resize", "gup", "", "v1", "Pod", "k8s.io.api.core.v1.Pod"},
    {"", "pods", "log", "g", "", "v1", "Pod", ""},
    {"", "pods", "exec", "gc", "", "v1", "PodExecOptions", ""},
    {"", "pods", "attach", "gc", "", "v1", "PodAttachOptions", ""},
    {"", "pods", "portforward", "gc", "", "v1", "PodPortForwardOptions", ""},
    {"", "pods", "proxy", "gupc", "", "v1", "PodProxyOptions", ""},
    {"", "services", "proxy", "gupc", "", "v1", "ServiceProxyOptions", ""},
    {"", "nodes", "proxy", "gupc", "", "v1", "NodeProxyOptions", ""},
    {"", "namespaces", "finalize", "u", "", "v1", "Namespace", "k8s.io.api.core.v1.Namespace"},
    {"", "serviceaccounts", "token", "c", "authentication.k8s.io", "v1", "TokenRequest",
     "k8s.io.api.authentication.v1.TokenRequest"},
    {"certificates.k8s.io", "certificatesigningrequests", "approval", "gup", "certificates.k8s.io", "v1",
     "CertificateSigningRequest", "k8s.io.api.certificates.v1.CertificateSigningRequest"},
};

class PathWriter {
 public:
  PathWriter(const Kind& kind, OpenApiDefinitions& definitions, Object& paths, bool v3)
      : kind_(kind), definitions_(definitions), paths_(paths), v3_(v3) {}

  void write() {
    const std::string root =
        kind_.group.empty() ? "/api/" + kind_.version : "/apis/" + kind_.group + "/" + kind_.version;
    const std::string collection = root + (kind_.namespaced ? "/namespaces/{namespace}/" : "/") + kind_.plural;
    const std::string item = collection + "/{name}";
    const std::string ref = definitions_.ref(kind_);
    scope_ = kind_.namespaced ? "Namespaced" : "";
    if (kind_.virtual_kind && can("create")) {
      path(collection, false).emplace("post", write_operation("post", "create", "", ref));
      return;
    }
    auto& list = path(collection, false);
    if (can("list")) list.emplace("get", list_operation(scope_));
    if (can("create")) list.emplace("post", write_operation("post", "create", "", ref));
    if (can("deletecollection")) list.emplace("delete", delete_operation(true));
    auto& one = path(item, true);
    if (can("get")) one.emplace("get", read_operation("", ref));
    if (can("update")) one.emplace("put", write_operation("put", "replace", "", ref));
    if (can("delete")) one.emplace("delete", delete_operation(false));
    if (can("patch")) one.emplace("patch", patch_operation("", ref));
    if (kind_.namespaced && can("list")) {
      auto& all = path(root + "/" + kind_.plural, false, false);
      if (!all.contains("get")) all.emplace("get", list_operation("", "ForAllNamespaces"));
    }
    if (kind_.status) subresource(item, "status", "gup", ref);
    if (kind_.scale) {
      gvk_ = gvk("autoscaling", "v1", "Scale");
      subresource(item, "scale", "gup", definitions_.ref(*find_type("k8s.io.api.autoscaling.v1.Scale")));
      gvk_ = own_gvk();
    }
    for (const auto& sub : kSubresources) {
      if (sub.group != kind_.group || sub.plural != kind_.plural) continue;
      gvk_ = gvk(sub.kind_group, sub.kind_version, sub.kind);
      const Type* type = find_type(sub.type);
      subresource(item, std::string(sub.name), sub.methods, type ? definitions_.ref(*type) : "");
      gvk_ = own_gvk();
    }
  }

 private:
  bool can(std::string_view verb) const { return std::ranges::find(kind_.verbs, verb) != kind_.verbs.end(); }

  static Object gvk(std::string_view group, std::string_view version, std::string_view kind) {
    return {{"group", json::Value(group)}, {"kind", json::Value(kind)}, {"version", json::Value(version)}};
  }
  Object own_gvk() const { return gvk(kind_.group, kind_.version, kind_.kind); }

  // A path item with the parameters that stand in its path.
  Object& path(const std::string& name, bool item, bool in_namespace = true) {
    auto& slot = paths_[name];
    if (slot.is_object()) return slot.get_object();
    Array parameters;
    if (item) parameters.push_back(parameter({"name", "string", "name of the " + kind_.kind}));
    if (kind_.namespaced && in_namespace)
      parameters.push_back(
          parameter({"namespace", "string", "object name and auth scope, such as for teams and projects"}));
    parameters.push_back(shared(kPretty));
    slot = Object{{"parameters", std::move(parameters)}};
    return slot.get_object();
  }
  Object parameter(const std::tuple<std::string, std::string, std::string>& p) const {
    const auto& [name, type, doc] = p;
    return api::parameter({name, type, doc}, v3_, "path");
  }
  // In v2 a reference; kubectl before 1.27 looks only for parameters that stand inline, so those it needs do.
  json::Value shared(const Parameter& p) const {
    if (v3_) return api::parameter(p, true);
    return Object{{"$ref", "#/parameters/" + std::string(p.name)}};
  }

  Object content(const std::string& ref, bool watch = false) const {
    Object schema{{"$ref", ref}};
    Object out;
    for (std::string_view type : {"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"})
      out[type] = Object{{"schema", schema}};
    if (watch)
      for (std::string_view type :
           {"application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"})
        out[type] = Object{{"schema", schema}};
    return out;
  }

  Object responses(const std::string& ref, std::initializer_list<std::string_view> codes, bool watch = false) const {
    Object out;
    for (std::string_view code : codes) {
      Object response{{"description", code == "200" ? "OK" : code == "201" ? "Created" : "Accepted"}};
      if (ref.empty())
        ;  // plain text or a stream
      else if (v3_)
        response["content"] = content(ref, watch);
      else
        response["schema"] = Object{{"$ref", ref}};
      out[code] = std::move(response);
    }
    out["401"] = Object{{"description", "Unauthorized"}};
    return out;
  }

  // `verb` and `tail` make the operation's id: list + CoreV1 + Namespaced + Pod + tail.
  Object operation(std::string_view action, const std::string& verb, const std::string& scope, const std::string& tail,
                   std::string doc) const {
    const std::string words = group_words(kind_.group);
    std::string tag = words;
    if (tag[0] >= 'A' && tag[0] <= 'Z') tag[0] = char(tag[0] + 32);
    Object out{{"description", std::move(doc)},
               {"tags", Array{tag + "_" + kind_.version}},
               {"operationId", verb + words + capital(kind_.version) + scope + kind_.kind + tail},
               {"x-kubernetes-action", json::Value(action)},
               {"x-kubernetes-group-version-kind", gvk_}};
    if (!v3_) {
      out["consumes"] = Array{"*/*"};
      out["produces"] = Array{"application/json", "application/yaml", "application/vnd.kubernetes.protobuf"};
      out["schemes"] = Array{"https"};
    }
    return out;
  }

  void body(Object& operation, const std::string& ref, bool required, const Array& types) const {
    if (v3_) {
      Object content;
      for (const auto& type : types) content[json::as_str(type)] = Object{{"schema", Object{{"$ref", ref}}}};
      Object request{{"content", std::move(content)}};
      if (required) request["required"] = true;
      operation["requestBody"] = std::move(request);
      return;
    }
    Object parameter{{"name", "body"}, {"in", "body"}, {"schema", Object{{"$ref", ref}}}};
    if (required) parameter["required"] = true;
    json::ensure(operation["parameters"]);
    auto& list = operation["parameters"];
    if (!list.is_array()) list = Array();
    list.get_array().push_back(std::move(parameter));
    operation["consumes"] = types;
  }

  void parameters(Object& operation, std::initializer_list<const Parameter*> inline_ones) const {
    auto& list = operation["parameters"];
    if (!list.is_array()) list = Array();
    for (const Parameter* p : inline_ones) list.get_array().push_back(api::parameter(*p, v3_));
  }
  template <std::size_t N>
  void shared_list(Object& operation, const Parameter (&parameters)[N]) const {
    auto& list = operation["parameters"];
    if (!list.is_array()) list = Array();
    for (const auto& p : parameters) list.get_array().push_back(shared(p));
  }

  Object list_operation(const std::string& scope, const std::string& tail = "") {
    auto out = operation("list", "list", scope, tail, "list or watch objects of kind " + kind_.kind);
    shared_list(out, kList);
    out["responses"] = responses(definitions_.list_ref(kind_), {"200"}, true);
    return out;
  }
  Object read_operation(const std::string& sub, const std::string& ref) {
    auto out = operation("get", "read", scope_, capital(sub), "read " + described(sub));
    out["responses"] = responses(ref, {"200"});
    return out;
  }
  Object write_operation(std::string_view action, const std::string& verb, const std::string& sub,
                         const std::string& ref) {
    auto out =
        operation(action, verb, scope_, capital(sub), (verb == "create" ? "create " : "replace ") + described(sub));
    body(out, ref, true, Array{"*/*"});
    parameters(out, {&kDryRun, &kFieldManager, &kFieldValidation});
    out["responses"] = verb == "create" ? responses(ref, {"200", "201", "202"}) : responses(ref, {"200", "201"});
    return out;
  }
  Object patch_operation(const std::string& sub, const std::string& ref) {
    auto out = operation("patch", "patch", scope_, capital(sub), "partially update " + described(sub));
    Array types{"application/json-patch+json", "application/merge-patch+json"};
    // Custom resources have no strategic merge.
    if (find_type(kind_.schema)) types.push_back("application/strategic-merge-patch+json");
    types.push_back("application/apply-patch+yaml");
    body(out, definitions_.meta_ref("Patch"), true, types);
    parameters(out, {&kDryRun, &kFieldManager, &kFieldValidation, &kForce});
    out["responses"] = responses(ref, {"200", "201"});
    return out;
  }
  Object delete_operation(bool collection) {
    auto out =
        operation(collection ? "deletecollection" : "delete", "delete", collection ? "Collection" + scope_ : scope_, "",
                  collection ? "delete collection of " + kind_.kind : "delete " + described(""));
    body(out, definitions_.meta_ref("DeleteOptions"), false, Array{"*/*"});
    parameters(out, {&kDryRun});
    shared_list(out, kDelete);
    if (collection) shared_list(out, kList);
    out["responses"] = responses(definitions_.meta_ref("Status"), {"200", "202"});
    return out;
  }

  void subresource(const std::string& item, const std::string& name, std::string_view methods, const std::string& ref) {
    auto& sub = path(item + "/" + name, true);
    const bool connect = ref.empty() && name != "log";
    for (char method : methods) {
      if (connect) {
        const std::string verb = method == 'g' ? "get" : method == 'u' ? "put" : method == 'p' ? "patch" : "post";
        auto out = operation("connect", "connect" + capital(verb), scope_, capital(name),
                             "connect " + capital(verb) + " requests to " + name + " of " + kind_.kind);
        out["responses"] = responses("", {"200"});
        sub.emplace(verb, std::move(out));
      } else if (method == 'g') {
        sub.emplace("get", read_operation(name, ref));
      } else if (method == 'u') {
        sub.emplace("put", write_operation("put", "replace", name, ref));
      } else if (method == 'p') {
        sub.emplace("patch", patch_operation(name, ref));
      } else {
        sub.emplace("post", write_operation("post", "create", name, ref));
      }
    }
  }

  std::string described(const std::string& sub) const {
    return sub.empty() ? "the specified " + kind_.kind : sub + " of the specified " + kind_.kind;
  }

  const Kind& kind_;
  OpenApiDefinitions& definitions_;
  Object& paths_;
  bool v3_;
  std::string scope_;
  Object gvk_ = own_gvk();
};

}  // namespace

void add_paths(const Kind& kind, OpenApiDefinitions& definitions, json::Object& paths, bool v3) {
  PathWriter(kind, definitions, paths, v3).write();
}

json::Object shared_parameters() {
  Object out;
  out[kPretty.name] = parameter(kPretty, false);
  for (const auto& p : kList) out[p.name] = parameter(p, false);
  for (const auto& p : kDelete) out[p.name] = parameter(p, false);
  return out;
}

}  // namespace lab::api
