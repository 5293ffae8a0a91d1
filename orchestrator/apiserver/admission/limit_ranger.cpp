// LimitRanger: a namespace's LimitRanges give containers default requests and limits, and bound what Pods, containers
// and claims may ask for.
#include <map>

#include "orchestrator/api/quantity.h"
#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/admission/edit.h"

namespace lab::apiserver::admission {
namespace {

using api::Quantity;
using json::Object;
using json::Value;
using Amounts = std::map<std::string, Quantity>;

Amounts amounts(const Value& resource_list) {
  Amounts out;
  for (const auto& [name, text] : json::as_object(resource_list)) {
    std::string number = text.is_string() ? std::string(json::as_str(text)) : json::dump(text);
    if (auto q = Quantity::parse(number)) out[std::string(name)] = *q;
  }
  return out;
}

void give_defaults(Value& container, const Value& item) {
  // A default limit is also the request where there is none.
  struct Step {
    const char *from, *to;
  };
  for (auto [from, to] : {Step{"defaultRequest", "requests"}, Step{"default", "limits"}})
    for (const auto& [name, amount] : json::map(item, from)) {
      std::string_view key = name;
      if (!json::has(container, "resources", to, key)) json::set(container, amount, "resources", to, key);
    }
}

struct Bounds {
  const Value& item;
  std::string type;  // "Container", "Pod", "PersistentVolumeClaim"
  std::vector<std::string>& problems;

  void say(const char* which, const std::string& resource, const std::string& bound, const std::string& rest) {
    problems.push_back(std::string(which) + " " + resource + " usage per " + type + " is " + bound + ", but " + rest);
  }

  void check(const Amounts& requests, const Amounts& limits) {
    for (const auto& [name, min] : amounts(json::at(item, "min"))) {
      if (auto r = requests.find(name); r == requests.end()) {
        problems.push_back("minimum " + name + " usage per " + type + " is " + min.canonical() +
                           ".  No request is specified");
      } else if (r->second < min) {
        say("minimum", name, min.canonical(), "request is " + r->second.canonical());
      }
      if (auto l = limits.find(name); l != limits.end() && l->second < min)
        say("minimum", name, min.canonical(), "limit is " + l->second.canonical());
    }
    for (const auto& [name, max] : amounts(json::at(item, "max"))) {
      if (auto l = limits.find(name); l == limits.end()) {
        if (type != "PersistentVolumeClaim")
          problems.push_back("maximum " + name + " usage per " + type + " is " + max.canonical() +
                             ".  No limit is specified");
      } else if (l->second > max) {
        say("maximum", name, max.canonical(), "limit is " + l->second.canonical());
      }
      if (auto r = requests.find(name); r != requests.end() && r->second > max)
        say("maximum", name, max.canonical(), "request is " + r->second.canonical());
    }
    for (const auto& [name, ratio] : amounts(json::at(item, "maxLimitRequestRatio"))) {
      auto r = requests.find(name), l = limits.find(name);
      if (r == requests.end() || r->second.is_zero() || l == limits.end()) {
        problems.push_back(name + " max limit to request ratio per " + type + " is " + ratio.canonical() +
                           ", but no request is specified or request is 0 or no limit is specified");
      } else if (double actual = static_cast<double>(l->second.milli()) / static_cast<double>(r->second.milli());
                 actual * 1000 > static_cast<double>(ratio.milli())) {
        problems.push_back(name + " max limit to request ratio per " + type + " is " + ratio.canonical() +
                           ", but provided ratio is " + std::to_string(actual));
      }
    }
  }
};

void add(Amounts& sum, const Amounts& more) {
  for (const auto& [name, q] : more) sum[name] = sum[name] + q;
}

// A Pod needs what its containers need together, or what its largest init container needs.
Amounts pod_amounts(const Value& pod, const char* field) {
  Amounts sum;
  for (const auto& c : json::list(pod, "spec", "containers")) add(sum, amounts(json::at(c, "resources", field)));
  for (const auto& c : json::list(pod, "spec", "initContainers"))
    for (const auto& [name, q] : amounts(json::at(c, "resources", field)))
      if (sum[name] < q) sum[name] = q;
  return sum;
}

json::Array* containers_of(Value& pod, const char* field) {
  return find_list(pod, "spec", field);
}

void check_pod(Value& pod, const Value& item, std::vector<std::string>& problems) {
  std::string type(json::str(item, "type"));
  Bounds bounds{item, type, problems};
  if (type == "Pod") return bounds.check(pod_amounts(pod, "requests"), pod_amounts(pod, "limits"));
  if (type != "Container") return;
  for (const char* field : {"containers", "initContainers"}) {
    auto* list = containers_of(pod, field);
    if (!list) continue;
    for (auto& c : *list)
      bounds.check(amounts(json::at(c, "resources", "requests")), amounts(json::at(c, "resources", "limits")));
  }
}

void default_pod(Value& pod, const Value& item) {
  if (json::str(item, "type") != "Container") return;
  for (const char* field : {"containers", "initContainers"}) {
    if (auto* list = containers_of(pod, field))
      for (auto& c : *list) give_defaults(c, item);
  }
}

}  // namespace

Result<void> limit_ranger(WriteContext& ctx, const Value* old, Value* object) {
  bool pod = is(ctx, "", "pods"), claim = is(ctx, "", "persistentvolumeclaims");
  if (!(pod || claim) || !is_create(ctx, old, object)) return {};
  static const api::KindPtr ranges = api::find_kind("", "v1", "limitranges");
  std::vector<std::string> problems;
  auto found = ctx.reader.list(*ranges, ctx.ns);
  if (pod)
    for (const auto& range : found)
      for (const auto& item : json::list(*range, "spec", "limits")) default_pod(*object, item);
  for (const auto& range : found)
    for (const auto& item : json::list(*range, "spec", "limits")) {
      if (pod) check_pod(*object, item, problems);
      if (claim && json::str(item, "type") == "PersistentVolumeClaim")
        Bounds{item, "PersistentVolumeClaim", problems}.check(
            amounts(json::at(*object, "spec", "resources", "requests")), {});
    }
  if (problems.empty()) return {};
  std::string text = problems.size() == 1 ? problems[0] : "[";
  if (problems.size() > 1) {
    for (const auto& p : problems) text += (&p == &problems.front() ? "" : ", ") + p;
    text += "]";
  }
  return refuse(ctx, text);
}

}  // namespace lab::apiserver::admission
