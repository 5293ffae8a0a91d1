// Kernel parameters under /proc/sys, by path: "net/ipv4/conf/eth0/rp_filter" (slashes, since link names hold dots).
//
// Those under net/ belong to the calling thread's network namespace.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lab {

Result<std::string> read_sysctl(const std::string& path);  // without the trailing newline; kNotFound when absent
// Writes only when the value differs, so that nothing is touched needlessly.
Result<void> set_sysctl(const std::string& path, std::string_view value);
bool has_sysctl(const std::string& path);

}  // namespace lab
