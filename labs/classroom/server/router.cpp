#include "labs/classroom/server/router.h"

#include <algorithm>

namespace lab::classroom {

namespace {

constexpr int kAnswered = 0;  // no status: nothing is to be sent any more
constexpr std::string_view kRest = "{rest}";

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> out;
  while (path.starts_with('/')) {
    path.remove_prefix(1);
    const auto end = std::min(path.find('/'), path.size());
    out.emplace_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return out;
}

bool is_param(const std::string& part) {
  return part.size() > 2 && part.front() == '{';
}

bool matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path,
             std::map<std::string, std::string>& params) {
  params.clear();
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == kRest && i < path.size()) {
      std::string rest;
      for (std::size_t k = i; k < path.size(); ++k) rest += (k > i ? "/" : "") + http::percent_decode(path[k]);
      params["rest"] = std::move(rest);
      return true;
    }
    if (i >= path.size()) return false;
    if (is_param(pattern[i])) {
      if (path[i].empty()) return false;
      params[pattern[i].substr(1, pattern[i].size() - 2)] = http::percent_decode(path[i]);
    } else if (pattern[i] != path[i]) {
      return false;
    }
  }
  return pattern.size() == path.size();
}

}  // namespace

Result<json::Value> Call::body() const {
  if (request.body.empty()) return json::Value(json::Object());
  LAB_TRY(auto value, json::parse(request.body));
  if (!value.is_object()) return fail(Code::kBadRequest, "the body is not a JSON object");
  return value;
}

void Router::add(std::string method, std::string pattern, Who who, RouteHandler handler) {
  rows_.push_back({std::move(method), split(pattern), who, handler});
}

Result<Router::Match> Router::find(std::string_view method, std::string_view path) const {
  const auto parts = split(path);
  Match match;
  bool other_method = false;
  for (const auto& row : rows_) {
    if (!matches(row.parts, parts, match.params)) continue;
    if (row.method != method) {
      other_method = true;
      continue;
    }
    match.who = row.who;
    match.handler = row.handler;
    return match;
  }
  if (other_method)
    return fail(Code::kMethodNotAllowed, std::string(method) + " is not a method of " + std::string(path));
  return fail(Code::kNotFound, "there is no " + std::string(path) + " here");
}

http::Response json_answer(const json::Value& value, int status) {
  return {.status = status,
          .headers = {{"Content-Type", "application/json"}},
          .body = {http::buffer(json::dump(value) + "\n")}};
}

http::Response no_content() {
  return {.status = 204};
}

http::Response accepted(const std::string& job) {
  return json_answer(json::Object{{"job", job}}, 202);
}

http::Response answered() {
  return {.status = kAnswered};
}

bool is_answered(const http::Response& response) {
  return response.status == kAnswered;
}

}  // namespace lab::classroom
