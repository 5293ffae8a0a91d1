#include "bootstrap/node/freezer.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/fs.h"
#include "bootstrap/node/cgroups.h"

namespace lab::bootstrap {

namespace {

constexpr auto kFreezeLimit = std::chrono::seconds(15);
constexpr auto kThawLimit = std::chrono::seconds(5);
constexpr const char* kV2Switch = "cgroup.freeze";
constexpr const char* kV1Switch = "freezer.state";

std::string first_line(const std::string& path) {
  auto text = fs::read_file(path);
  return text ? text->substr(0, text->find('\n')) : std::string();
}

bool stands_still(const Freezer& f) {
  if (!f.v2) return first_line(fs::join(f.directory, kV1Switch)) == "FROZEN";
  return fs::read_file(fs::join(f.directory, "cgroup.events")).value_or("").find("frozen 1") != std::string::npos;
}

Result<void> tell(const Freezer& f, bool frozen) {
  if (f.v2) return fs::write_in_place(fs::join(f.directory, kV2Switch), frozen ? "1" : "0");
  return fs::write_in_place(fs::join(f.directory, kV1Switch), frozen ? "FROZEN" : "THAWED");
}

template <class F>
bool wait_for(F holds, std::chrono::steady_clock::duration limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace

Result<std::vector<Freezer>> freezers(const std::string& path) {
  LAB_TRY(auto all, cgroup_hierarchies());
  std::vector<Freezer> out;
  for (const auto& h : all) {
    const std::string dir = fs::join(h.mount_point, path);
    if (h.v2 && fs::exists(fs::join(dir, kV2Switch))) out.insert(out.begin(), {.directory = dir, .v2 = true});
    const bool v1 = std::find(h.controllers.begin(), h.controllers.end(), "freezer") != h.controllers.end();
    if (v1 && fs::exists(fs::join(dir, kV1Switch))) out.push_back({.directory = dir});
  }
  return out;
}

Result<void> freeze(const Freezer& f) {
  LAB_CHECK(tell(f, true));
  // v1 gives up on processes that were being born at that moment; being told again it takes them in.
  auto still = [&] { return stands_still(f) || (!f.v2 && tell(f, true) && stands_still(f)); };
  if (wait_for(still, kFreezeLimit)) return {};
  LAB_CHECK(thaw(f));
  return fail(Code::kTimeout, "the processes of " + f.directory + " do not stand still",
              "one of them waits for a device or a network file system: ps -eo pid,stat,wchan,cgroup,args | grep ' D'");
}

Result<void> thaw(const Freezer& f) {
  LAB_CHECK(tell(f, false));
  if (wait_for([&] { return !stands_still(f); }, kThawLimit)) return {};
  return fail(Code::kTimeout, "the processes of " + f.directory + " do not go on", "is a cgroup above it frozen?");
}

bool is_frozen(const Freezer& f) {
  return first_line(fs::join(f.directory, f.v2 ? kV2Switch : "freezer.self_freezing")) == "1";
}

Result<void> freeze_cgroups(const std::string& path) {
  LAB_TRY(auto all, freezers(path));
  if (all.empty())
    return fail(Code::kUnavailable,
                "this machine cannot freeze processes: neither cgroup v2 nor v1's freezer is mounted",
                "mount -t cgroup2 none /sys/fs/cgroup/unified");
  return freeze(all.front());
}

Result<void> thaw_cgroups(const std::string& path) {
  LAB_TRY(auto all, freezers(path));
  for (const auto& f : all)
    if (is_frozen(f)) LAB_CHECK(thaw(f));
  return {};
}

Result<bool> cgroups_frozen(const std::string& path) {
  LAB_TRY(auto all, freezers(path));
  return std::any_of(all.begin(), all.end(), is_frozen);
}

}  // namespace lab::bootstrap
