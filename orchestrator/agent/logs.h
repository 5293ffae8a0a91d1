// Container logs as the runtime writes them, one line each: `2026-11-22T10:00:00.123456789Z stdout F text`.
//
// Blocking functions, except stream_log(), which runs on the loop that awaits it and does its file work in the pool.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/io/loop.h"
#include "base/io/pool.h"
#include "base/result.h"

namespace lab::agent {

struct LogLine {
  std::string_view timestamp, stream, text;  // views into the line
  bool partial = false;                      // the text goes on in the next line of the same stream
};
std::optional<LogLine> parse_log_line(std::string_view line);

// The last 80 lines or 2 KiB, without timestamps: what FallbackToLogsOnError shows.
std::string tail_for_message(const std::string& path);

struct LogOptions {
  bool follow = false, timestamps = false;
  std::optional<std::int64_t> tail_lines, limit_bytes;
  std::optional<WallTime> since;
  std::string stream = "All";  // or Stdout, Stderr
};
// Sends the log in pieces until it ends (without follow), the container has ended and all was sent, the limit is
// reached, `send` fails, or `stop`. `running` says whether the container may still write.
Task<Result<void>> stream_log(std::string path, LogOptions options, Pool& pool,
                              std::function<Task<Result<bool>>()> running,
                              std::function<Task<Result<void>>(std::string)> send, std::stop_token stop);

// Renames PATH to PATH.<time>, keeps at most `max_files` of them (the current one counts), oldest first removed. The
// runtime must be told to open the log anew afterwards.
Result<void> rotate_log(const std::string& path, int max_files);

}  // namespace lab::agent
