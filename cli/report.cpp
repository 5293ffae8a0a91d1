#include "cli/report.h"

#include <cstdio>
#include <cstring>

#include "bootstrap/preflight/preflight.h"
#include "cli/command.h"

namespace lab::cli {

int report(const Error& error) {
  std::string text = error.message;
  if (error.sys_errno != 0) text += std::string(": ") + std::strerror(error.sys_errno);
  std::fprintf(stderr, "error: %s\n", text.c_str());
  if (!error.hint.empty()) std::fprintf(stderr, "  what to do: %s\n", error.hint.c_str());
  return bootstrap::is_preflight_failure(error) ? kPreflight : kFailed;
}

}  // namespace lab::cli
