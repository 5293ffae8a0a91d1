#include "base/netlink/sysctl.h"

#include "base/fs.h"

namespace lab {

Result<std::string> read_sysctl(const std::string& path) {
  LAB_TRY(auto text, fs::read_file("/proc/sys/" + path));
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

Result<void> set_sysctl(const std::string& path, std::string_view value) {
  if (auto now = read_sysctl(path); now && *now == value) return {};
  auto written = fs::write_in_place("/proc/sys/" + path, value);
  if (!written) return std::unexpected(std::move(written).error().with_context("kernel parameter " + path));
  return {};
}

bool has_sysctl(const std::string& path) {
  return fs::exists("/proc/sys/" + path);
}

}  // namespace lab
