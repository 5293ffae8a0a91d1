#include "bootstrap/node/kernel_limits.h"
#include <cstdlib>

#include "base/file_lock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/netlink/sysctl.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kLock = "/run/lab/kernel-limits.lock";

struct Limit {
  const char* path;
  std::size_t each_node, spare;
};
// A node with a dozen pods; the spare is for everything else on the machine.
constexpr Limit kLimits[] = {{"fs/inotify/max_user_instances", 8, 64},
                             {"net/ipv4/neigh/default/gc_thresh2", 16, 128},
                             {"net/ipv4/neigh/default/gc_thresh3", 32, 256}};

Result<json::Value> read_record(const std::string& record) {
  auto text = fs::read_file(record);
  if (!text && text.error().code == Code::kNotFound) return json::Value(json::Object());
  if (!text) return std::unexpected(std::move(text).error());
  return json::parse(*text);
}

}  // namespace

Result<void> raise_kernel_limits(std::size_t nodes, const std::string& record) {
  LAB_TRY(auto lock, FileLock::wait_for(kLock));
  for (const auto& limit : kLimits) {
    auto now = read_sysctl(limit.path);
    if (!now) continue;  // a kernel without it
    const std::size_t want = nodes * limit.each_node + limit.spare;
    if (std::strtoull(now->c_str(), nullptr, 10) >= want) continue;
    LAB_TRY(auto kept, read_record(record));
    const std::string before(json::has(kept, limit.path) ? json::str(kept, limit.path, "before")
                                                         : std::string_view(*now));
    const std::string raised = std::to_string(want * 2);  // not again for each lab that comes
    json::set(kept, json::Object{{"before", before}, {"raised", raised}}, limit.path);
    LAB_CHECK(fs::make_dirs(record.substr(0, record.rfind('/'))));
    LAB_CHECK(fs::write_file(record, json::dump_pretty(kept) + "\n"));  // first: whatever is changed is known
    LAB_CHECK(set_sysctl(limit.path, raised));
  }
  return {};
}

Result<void> restore_kernel_limits(const std::string& record) {
  if (!fs::exists(record)) return {};
  LAB_TRY(auto lock, FileLock::wait_for(kLock));
  LAB_TRY(auto kept, read_record(record));
  for (const auto& limit : kLimits) {
    auto now = read_sysctl(limit.path);
    if (now && *now == json::str(kept, limit.path, "raised"))
      LAB_CHECK(set_sysctl(limit.path, json::str(kept, limit.path, "before")));
  }
  return fs::remove_file(record);
}

}  // namespace lab::bootstrap
