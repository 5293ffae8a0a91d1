#include "base/http/message.h"

#include <algorithm>

#include "base/json.h"

namespace lab::http {

namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view Headers::get(std::string_view name) const {
  for (const auto& [n, v] : fields_)
    if (same_name(n, name)) return v;
  return {};
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> out;
  for (const auto& [n, v] : fields_)
    if (same_name(n, name)) out.push_back(v);
  return out;
}

bool Headers::has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(), [&](const auto& f) { return same_name(f.first, name); });
}

void Headers::set(std::string_view name, std::string value) {
  remove(name);
  add(name, std::move(value));
}

void Headers::add(std::string_view name, std::string value) {
  fields_.emplace_back(name, std::move(value));
}

void Headers::remove(std::string_view name) {
  std::erase_if(fields_, [&](const auto& f) { return same_name(f.first, name); });
}

std::string_view Request::path() const {
  std::string_view t = target;
  return t.substr(0, t.find('?'));
}

std::string_view Request::raw_query() const {
  std::string_view t = target;
  auto at = t.find('?');
  return at == t.npos ? std::string_view() : t.substr(at + 1);
}

std::string Response::text() const {
  if (body.size() == 1 && body[0]) return *body[0];
  std::string out;
  for (const auto& b : body)
    if (b) out += *b;
  return out;
}

Response error_response(const Error& error) {
  int status = http_status_of(error.code);
  json::Object object;
  object["kind"] = "Status";
  object["apiVersion"] = "v1";
  object["metadata"] = json::Object();
  object["status"] = "Failure";
  object["message"] = error.text();
  object["reason"] = reason_of(error.code);
  object["code"] = status;
  Response out;
  out.status = status;
  out.headers.add("Content-Type", "application/json");
  out.body.push_back(buffer(json::dump(json::Value(std::move(object))) + "\n"));
  return out;
}

std::string percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    out += plus_is_space && text[i] == '+' ? ' ' : text[i];
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                 c == '.' || c == '~';
    if (plain) {
      out += static_cast<char>(c);
    } else {
      out += '%';
      out += kHex[c >> 4];
      out += kHex[c & 15];
    }
  }
  return out;
}

Query::Query(std::string_view raw) {
  while (!raw.empty()) {
    auto end = raw.find('&');
    std::string_view one = raw.substr(0, end);
    raw = end == raw.npos ? std::string_view() : raw.substr(end + 1);
    if (one.empty()) continue;
    auto eq = one.find('=');
    add(percent_decode(one.substr(0, eq), true),
        eq == one.npos ? std::string() : percent_decode(one.substr(eq + 1), true));
  }
}

std::string_view Query::get(std::string_view name) const {
  for (const auto& [n, v] : pairs_)
    if (n == name) return v;
  return {};
}

bool Query::has(std::string_view name) const {
  return std::any_of(pairs_.begin(), pairs_.end(), [&](const auto& p) { return p.first == name; });
}

bool Query::flag(std::string_view name) const {
  auto v = get(name);
  return v == "true" || v == "1";
}

std::vector<std::string_view> Query::all(std::string_view name) const {
  std::vector<std::string_view> out;
  for (const auto& [n, v] : pairs_)
    if (n == name) out.push_back(v);
  return out;
}

std::string Query::encode() const {
  std::string out;
  for (const auto& [n, v] : pairs_) {
    if (!out.empty()) out += '&';
    out += percent_encode(n) + "=" + percent_encode(v);
  }
  return out;
}

}  // namespace lab::http
