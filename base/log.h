// Logging: one line per event, `key=value` fields after the message.
//
//   log::info("pod started", {{"pod", name}, {"took_ms", ms}});
//
// Thread-safe. Lines go to standard error; a daemon's supervisor keeps and rotates them. set_level() applies to the
// whole process. Never log secrets: tokens, keys, Secret data.
#pragma once

#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace lab::log {

enum class Level { kTrace, kDebug, kInfo, kWarn, kError };

struct Field {
  std::string_view key;
  std::string value;
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  Field(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <class N>
    requires(std::integral<N> && !std::same_as<N, bool>) || std::floating_point<N>
  Field(std::string_view k, N v) : key(k), value(std::to_string(v)) {}
};
using Fields = std::initializer_list<Field>;

void set_level(Level level);
bool enabled(Level level);
void write(Level level, std::string_view message, Fields fields);

inline void debug(std::string_view message, Fields fields = {}) { write(Level::kDebug, message, fields); }
inline void info(std::string_view message, Fields fields = {}) { write(Level::kInfo, message, fields); }
inline void warn(std::string_view message, Fields fields = {}) { write(Level::kWarn, message, fields); }
inline void error(std::string_view message, Fields fields = {}) { write(Level::kError, message, fields); }

}  // namespace lab::log
