#include "orchestrator/apiserver/authz/rule.h"

#include <algorithm>

namespace lab::apiserver::authz {
namespace {

using Strings = std::vector<std::string>;

bool has(const Strings& list, std::string_view wanted) {
  return std::ranges::find(list, wanted) != list.end();
}
bool has_or_all(const Strings& list, std::string_view wanted) {
  for (const auto& s : list)
    if (s == "*" || s == wanted) return true;
  return false;
}

// "pods/log" against resource "pods" and subresource "log", without making a string of the two.
bool is_resource(std::string_view entry, std::string_view resource, std::string_view subresource) {
  if (subresource.empty()) return entry == resource;
  return entry.size() == resource.size() + 1 + subresource.size() && entry.starts_with(resource) &&
         entry[resource.size()] == '/' && entry.ends_with(subresource);
}

bool resource_matches(const Strings& resources, std::string_view resource, std::string_view subresource) {
  for (std::string_view r : resources) {
    if (r == "*" || is_resource(r, resource, subresource)) return true;
    // "*/scale": that subresource of everything.
    if (!subresource.empty() && r.size() == subresource.size() + 2 && r.starts_with("*/") && r.ends_with(subresource))
      return true;
  }
  return false;
}

bool url_matches(const Strings& urls, std::string_view path) {
  for (std::string_view u : urls) {
    if (u == "*" || u == path) return true;
    if (u.ends_with('*') && path.starts_with(u.substr(0, u.size() - 1))) return true;
  }
  return false;
}

Strings strings(const json::Array& list) {
  Strings out;
  for (const auto& v : list) out.emplace_back(json::as_str(v));
  return out;
}

json::Array array(const Strings& list) {
  json::Array out;
  for (const auto& s : list) out.emplace_back(s);
  return out;
}

// Smallest parts: one verb on one resource (or URL), of one name where names are given.
std::vector<Rule> parts_of(const Rule& rule) {
  std::vector<Rule> out;
  for (const auto& verb : rule.verbs) {
    for (const auto& url : rule.urls)
      out.push_back({.verbs = {verb}, .groups = {}, .resources = {}, .names = {}, .urls = {url}});
    for (const auto& group : rule.groups)
      for (const auto& resource : rule.resources) {
        Rule part{.verbs = {verb}, .groups = {group}, .resources = {resource}, .names = {}, .urls = {}};
        if (rule.names.empty()) out.push_back(part);
        for (const auto& name : rule.names) {
          part.names = {name};
          out.push_back(part);
        }
      }
  }
  return out;
}

bool resource_covers(const Strings& held, std::string_view wanted) {
  auto slash = wanted.find('/');
  std::string any = slash == std::string_view::npos ? std::string() : "*" + std::string(wanted.substr(slash));
  return std::ranges::any_of(held,
                             [&](std::string_view h) { return h == "*" || h == wanted || (!any.empty() && h == any); });
}

bool covers(const Rule& held, const Rule& part) {
  if (!has_or_all(held.verbs, part.verbs[0])) return false;
  if (!part.urls.empty()) return url_matches(held.urls, part.urls[0]);
  if (!has_or_all(held.groups, part.groups[0]) || !resource_covers(held.resources, part.resources[0])) return false;
  return held.names.empty() || (!part.names.empty() && has(held.names, part.names[0]));
}

}  // namespace

Rule Rule::from_object(const json::Value& r) {
  return {.verbs = strings(json::list(r, "verbs")),
          .groups = strings(json::list(r, "apiGroups")),
          .resources = strings(json::list(r, "resources")),
          .names = strings(json::list(r, "resourceNames")),
          .urls = strings(json::list(r, "nonResourceURLs"))};
}

json::Value Rule::to_object() const {
  json::Object out;
  if (!groups.empty()) out["apiGroups"] = array(groups);
  if (!urls.empty()) out["nonResourceURLs"] = array(urls);
  if (!names.empty()) out["resourceNames"] = array(names);
  if (!resources.empty()) out["resources"] = array(resources);
  out["verbs"] = array(verbs);
  return out;
}

bool Rule::allows(const Attributes& a) const {
  if (!has_or_all(verbs, a.verb)) return false;
  if (!a.resource_request) return url_matches(urls, a.path);
  return has_or_all(groups, a.group) && resource_matches(resources, a.resource, a.subresource) &&
         (names.empty() || has(names, a.name));
}

std::string Rule::text() const {
  std::string out;
  auto field = [&](const char* name, const Strings& list) {
    if (list.empty()) return;
    out += (out.empty() ? "" : ", ") + std::string(name) + ":[";
    for (const auto& s : list) out += (&s == &list.front() ? "\"" : " \"") + s + "\"";
    out += "]";
  };
  field("APIGroups", groups);
  field("Resources", resources);
  field("ResourceNames", names);
  field("NonResourceURLs", urls);
  field("Verbs", verbs);
  return "{" + out + "}";
}

std::vector<Rule> rules_of(const json::Value& role) {
  std::vector<Rule> out;
  for (const auto& r : json::list(role, "rules")) out.push_back(Rule::from_object(r));
  return out;
}

std::vector<Rule> uncovered(const std::vector<Rule>& held, const std::vector<Rule>& wanted) {
  std::vector<Rule> out;
  for (const auto& rule : wanted)
    for (const auto& part : parts_of(rule)) {
      if (std::ranges::any_of(held, [&](const Rule& h) { return covers(h, part); })) continue;
      // Verbs missing on the same thing are told together.
      auto same = std::ranges::find_if(out, [&](const Rule& o) {
        return o.groups == part.groups && o.resources == part.resources && o.names == part.names && o.urls == part.urls;
      });
      if (same != out.end())
        same->verbs.push_back(part.verbs[0]);
      else
        out.push_back(part);
    }
  return out;
}

}  // namespace lab::apiserver::authz
