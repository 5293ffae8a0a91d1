#include "orchestrator/api/selector.h"

namespace lab::api {
namespace {

// Splits at commas that no backslash protects.
std::vector<std::string_view> terms(std::string_view text) {
  std::vector<std::string_view> out;
  std::size_t from = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == ',') {
      out.push_back(text.substr(from, i - from));
      from = i + 1;
    }
  }
  if (from < text.size()) out.push_back(text.substr(from));
  return out;
}

Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      if (++i == text.size() || (text[i] != '\\' && text[i] != ',' && text[i] != '='))
        return fail(Code::kBadRequest,
                    "invalid field selector: invalid escape sequence in \"" + std::string(text) + "\"");
    } else if (text[i] == '=') {
      return fail(Code::kBadRequest, "invalid field selector: invalid character '=' in \"" + std::string(text) + "\"");
    }
    out += text[i];
  }
  return out;
}

std::string_view zero_of(std::string_view path) {
  if (path == "spec.unschedulable" || path == "spec.hostNetwork") return "false";
  if (path == "status.replicas" || path == "status.successful") return "0";
  return {};
}

}  // namespace

std::string field_value(const json::Value& object, std::string_view path) {
  if (path == "source") {
    std::string_view component = json::str(object, "source", "component");
    return std::string(component.empty() ? json::str(object, "reportingComponent") : component);
  }
  // An Event of either version is asked by either version's names.
  if (path.starts_with("regarding.") && !json::has(object, "regarding"))
    return field_value(object, "involvedObject." + std::string(path.substr(10)));
  if (path.starts_with("involvedObject.") && json::has(object, "regarding"))
    return field_value(object, "regarding." + std::string(path.substr(15)));
  if (path == "reportingController" && !json::has(object, "reportingController")) path = "reportingComponent";
  std::string_view rest = path == "status.successful" ? "status.succeeded" : path;
  const json::Value* v = &object;
  while (!rest.empty() && !v->is_null()) {
    auto dot = rest.find('.');
    v = &json::at(*v, rest.substr(0, dot));
    rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
  }
  if (v->is_string()) return std::string(json::as_str(*v));
  if (v->is_bool() || v->is_number()) return json::dump(*v);
  if (path == "status.podIPs") return field_value(object, "status.podIP");
  return std::string(zero_of(path));
}

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
  FieldSelector out;
  for (std::string_view term : terms(text)) {
    if (term.empty()) continue;
    auto at = term.find_first_of("=!");
    std::size_t width = 1;
    bool equal = true;
    if (at != std::string_view::npos) {
      std::string_view op = term.substr(at, 2);
      if (op == "!=" || op == "==") width = 2;
      equal = op != "!=";
    }
    if (at == std::string_view::npos || (term[at] == '!' && equal))
      return fail(Code::kBadRequest,
                  "invalid selector: '" + std::string(text) + "'; can't understand '" + std::string(term) + "'");
    LAB_TRY(auto value, unescape(term.substr(at + width)));
    std::string path(term.substr(0, at));
    out.requirements_.push_back({std::move(path), std::move(value), equal});
  }
  return out;
}

bool FieldSelector::matches(const json::Value& object) const {
  for (const auto& r : requirements_)
    if ((field_value(object, r.path) == r.value) != r.equal) return false;
  return true;
}

}  // namespace lab::api
