#include "orchestrator/api/json_path.h"

namespace lab::api {

const json::Value& at_path(const json::Value& object, std::string_view path) {
  const json::Value* at = &object;
  while (!path.empty()) {
    if (path.front() == '.') path.remove_prefix(1);
    if (path.starts_with("[")) {
      auto end = path.find(']');
      auto inside = path.substr(1, end - 1);
      path = end == std::string_view::npos ? std::string_view{} : path.substr(end + 1);
      const auto& list = json::as_array(*at);
      at = &json::null_value();
      if (inside.starts_with("?(@.")) {
        auto equals = inside.find("==");
        if (equals == std::string_view::npos) return json::null_value();
        auto key = inside.substr(4, equals - 4);
        auto wanted = inside.substr(equals + 2);
        if (wanted.ends_with(')')) wanted.remove_suffix(1);
        while (!wanted.empty() && (wanted.front() == '"' || wanted.front() == '\'')) wanted.remove_prefix(1);
        while (!wanted.empty() && (wanted.back() == '"' || wanted.back() == '\'')) wanted.remove_suffix(1);
        for (const auto& item : list)
          if (json::str(item, key) == wanted) at = &item;
      } else {
        std::size_t index = 0;
        for (char c : inside)
          index = c >= '0' && c <= '9' ? index * 10 + static_cast<std::size_t>(c - '0') : list.size();
        if (index < list.size()) at = &list[index];
      }
      continue;
    }
    auto end = path.find_first_of(".[");
    at = &json::at(*at, path.substr(0, end));
    path = end == std::string_view::npos ? std::string_view{} : path.substr(end);
  }
  return *at;
}

}  // namespace lab::api
