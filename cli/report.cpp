#include "cli/report.h"

#include <cstdio>
#include <cstring>

#include "bootstrap/preflight/preflight.h"
#include "cli/command.h"

namespace lab::cli {

namespace {

// A disk that fills up in the middle can be met anywhere, so it is explained here, once.
bool is_full_disk(const std::string& text) {
  for (const char* words : {"No space left on device", "no space left on device", "database or disk is full"})
    if (text.find(words) != std::string::npos) return true;
  return false;
}

}  // namespace

int report(const Error& error) {
  std::string text = error.message, hint = error.hint;
  if (error.sys_errno != 0) text += std::string(": ") + std::strerror(error.sys_errno);
  if (hint.empty() && is_full_disk(text))
    hint = "df -h shows which file system is full; free some space there (du -xh DIR | sort -h | tail), and run the "
           "same command again: what is done is kept";
  std::fprintf(stderr, "error: %s\n", text.c_str());
  if (!hint.empty()) std::fprintf(stderr, "  what to do: %s\n", hint.c_str());
  return bootstrap::is_preflight_failure(error) ? kPreflight : kFailed;
}

}  // namespace lab::cli
