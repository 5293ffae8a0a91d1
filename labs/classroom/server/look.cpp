#include "labs/classroom/server/look.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/fs.h"
#include "bootstrap/local/profile.h"
#include "bootstrap/node/cgroups.h"

namespace lab::classroom {

namespace {

using bootstrap::Hierarchy;

constexpr std::uint64_t kMebibyte = 1024 * 1024;
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 50;  // v1 writes "none" as a very large number

std::optional<std::uint64_t> number_in(const std::string& path) {
  auto text = fs::read_file(path);
  std::uint64_t out = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), out).ec != std::errc()) return std::nullopt;
  return out;
}

// The number behind a name in a file of "NAME NUMBER" lines.
std::uint64_t field_in(const std::string& path, const std::string& name) {
  const std::string text = "\n" + fs::read_file(path).value_or("");
  const auto at = text.find("\n" + name + " ");
  std::uint64_t out = 0;
  if (at != std::string::npos) {
    const char* begin = text.data() + at + name.size() + 2;
    std::from_chars(begin, text.data() + text.size(), out);
  }
  return out;
}

bool has(const Hierarchy& h, std::string_view controller) {
  return std::ranges::find(h.controllers, controller) != h.controllers.end();
}

struct Usage {
  std::uint64_t memory = 0, limit = 0, cpu_nanoseconds = 0;
};

// The tightest of a node's own limit and that of its lab, which holds all of its nodes.
std::uint64_t limit_of(const std::string& mount, const std::string& cgroup, const std::string& file) {
  std::uint64_t out = 0;
  for (const auto& path : {cgroup, cgroup.substr(0, cgroup.rfind('/'))}) {
    const auto one = number_in(fs::join(fs::join(mount, path), file));
    if (one && *one < kNoLimit && (out == 0 || *one < out)) out = *one;
  }
  return out;
}

Usage usage_of(const std::vector<Hierarchy>& all, const std::string& cgroup) {
  Usage out;
  for (const auto& h : all) {
    const std::string dir = fs::join(h.mount_point, cgroup);
    if (h.v2) {
      if (const auto bytes = number_in(fs::join(dir, "memory.current"))) {
        out.memory = *bytes - std::min(*bytes, field_in(fs::join(dir, "memory.stat"), "inactive_file"));
        out.limit = limit_of(h.mount_point, cgroup, "memory.max");
      }
      if (const auto used = field_in(fs::join(dir, "cpu.stat"), "usage_usec"); used > 0 && out.cpu_nanoseconds == 0)
        out.cpu_nanoseconds = used * 1000;
    }
    if (has(h, "memory"))
      if (const auto bytes = number_in(fs::join(dir, "memory.usage_in_bytes"))) {
        out.memory = *bytes - std::min(*bytes, field_in(fs::join(dir, "memory.stat"), "total_inactive_file"));
        out.limit = limit_of(h.mount_point, cgroup, "memory.limit_in_bytes");
      }
    if (has(h, "cpuacct")) out.cpu_nanoseconds = number_in(fs::join(dir, "cpuacct.usage")).value_or(0);
  }
  return out;
}

}  // namespace

Result<LabView> Look::now() {
  LabView view;
  auto profile = bootstrap::load_profile(profile_);
  if (!profile && profile.error().code == Code::kNotFound) {
    last_.clear();
    return view;
  }
  LAB_CHECK(profile);
  LAB_TRY(auto driver, bootstrap::make_driver(*profile));
  LAB_TRY(auto states, driver->list());
  LAB_TRY(const bool paused, driver->paused());
  LAB_TRY(const auto hierarchies, bootstrap::cgroup_hierarchies());
  bool any = false;
  std::map<std::string, Sample> samples;
  for (const auto& node : profile->nodes) {
    const bool running =
        std::ranges::any_of(states, [&](const auto& s) { return s.spec.name == node.name && s.running; });
    any = any || running;
    const auto usage = running ? usage_of(hierarchies, "lab/" + profile_ + "/" + node.name) : Usage{};
    const Sample sample{std::chrono::steady_clock::now(), usage.cpu_nanoseconds};
    std::int64_t millicores = 0;
    if (const auto before = last_.find(node.name); before != last_.end() && running) {
      const auto elapsed = std::chrono::duration<double, std::nano>(sample.at - before->second.at).count();
      if (elapsed > 0 && sample.cpu_nanoseconds > before->second.cpu_nanoseconds)
        millicores = static_cast<std::int64_t>(
            static_cast<double>(sample.cpu_nanoseconds - before->second.cpu_nanoseconds) / elapsed * 1000);
    }
    samples[node.name] = sample;
    // Rounded: a page is told what it can show, not that a page of memory came and went.
    view.nodes.push_back(json::Object{{"name", node.name},
                                      {"address", node.address},
                                      {"running", running},
                                      {"memoryBytes", usage.memory / kMebibyte * kMebibyte},
                                      {"memoryLimit", usage.limit > 0 ? usage.limit : node.memory_bytes},
                                      {"cpuMillicores", (millicores + 5) / 10 * 10}});
  }
  last_ = std::move(samples);
  view.state = paused && any ? "paused" : any ? "running" : "stopped";
  return view;
}

}  // namespace lab::classroom
