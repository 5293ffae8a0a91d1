#include "bootstrap/preflight/preflight.h"

#include <algorithm>
#include <cctype>

#include "base/fs.h"
#include "bootstrap/preflight/checks.h"

namespace lab::bootstrap {

namespace preflight {

std::string text_of(const PreflightInput& in, const std::string& path) {
  return fs::read_file(in.root + path).value_or("");
}

std::string line_of(const PreflightInput& in, const std::string& path) {
  const std::string text = text_of(in, path);
  return text.substr(0, text.find('\n'));
}

}  // namespace preflight

namespace {

using preflight::Findings;

constexpr const char* kMark = "preflight";

constexpr preflight::Check kChecks[] = {
    preflight::privileged, preflight::processors,  preflight::memory,           preflight::host_name,
    preflight::ports,      preflight::disk,        preflight::runtime,          preflight::programs,
    preflight::cgroups,    preflight::overlayfs,   preflight::network_features, preflight::forwarding,
    preflight::inotify,    preflight::host_routes, preflight::resolver,         preflight::machine_id,
    preflight::clock,      preflight::swap,
};

}  // namespace

std::vector<PreflightFinding> run_preflight(const PreflightInput& input) {
  Findings findings;
  for (auto check : kChecks) check(input, findings);
  return findings;
}

std::vector<PreflightFinding> run_reset_preflight() {
  Findings findings;
  preflight::privileged({}, findings);
  return findings;
}

std::vector<PreflightFinding> check_host_routes(const PreflightInput& input) {
  Findings findings;
  preflight::host_routes(input, findings);
  return findings;
}

Result<void> judge_preflight(const std::vector<PreflightFinding>& findings, const std::vector<std::string>& ignored,
                             std::vector<std::string>& warnings) {
  auto lower = [](std::string s) {
    std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::tolower(c); });
    return s;
  };
  auto is_ignored = [&](const std::string& check) {
    return std::any_of(ignored.begin(), ignored.end(),
                       [&](const std::string& i) { return lower(i) == "all" || lower(i) == lower(check); });
  };
  std::string fatal;
  for (const auto& f : findings) {
    const std::string line = "[" + f.check + "]: " + f.message + "; " + f.fix;
    if (f.fatal && !is_ignored(f.check))
      fatal += "\n\t[ERROR " + f.check + "]: " + f.message + "; " + f.fix;
    else
      warnings.push_back(line);
  }
  if (fatal.empty()) return {};
  Error error{.code = Code::kInvalid,
              .message = "some fatal errors occurred:" + fatal,
              .hint = "mend them, or make a check non-fatal with --ignore-preflight-errors=NAME",
              .details = kMark};
  return std::unexpected(std::move(error));
}

bool is_preflight_failure(const Error& error) {
  return error.details == kMark;
}

}  // namespace lab::bootstrap
