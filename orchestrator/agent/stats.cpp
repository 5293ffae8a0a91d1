#include "orchestrator/agent/stats.h"

#include <chrono>
#include <cstdio>

#include "orchestrator/agent/node_use.h"
#include "orchestrator/api/time.h"

namespace lab::agent {

namespace {

std::string time_text(std::int64_t ns) {
  return api::format_time(std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::nanoseconds(ns))));
}
std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

json::Value cpu_value(std::int64_t at, std::uint64_t used, std::uint64_t rate) {
  json::Value v;
  json::set(v, time_text(at), "time");
  if (rate > 0) json::set(v, rate, "usageNanoCores");
  json::set(v, used, "usageCoreNanoSeconds");
  return v;
}

struct MemoryNumbers {
  std::uint64_t usage = 0, working_set = 0, rss = 0, faults = 0, major = 0;
};
json::Value memory_value(std::int64_t at, const MemoryNumbers& m) {
  json::Value v;
  json::set(v, time_text(at), "time");
  json::set(v, m.usage, "usageBytes");
  json::set(v, m.working_set, "workingSetBytes");
  json::set(v, m.rss, "rssBytes");
  json::set(v, m.faults, "pageFaults");
  json::set(v, m.major, "majorPageFaults");
  return v;
}

json::Value disk_value(std::int64_t at, const DiskUse& d) {
  json::Value v;
  json::set(v, time_text(at), "time");
  json::set(v, d.available, "availableBytes");
  json::set(v, d.capacity, "capacityBytes");
  json::set(v, d.capacity - d.available, "usedBytes");
  json::set(v, d.inodes_free, "inodesFree");
  json::set(v, d.inodes, "inodes");
  json::set(v, d.inodes - d.inodes_free, "inodesUsed");
  return v;
}

std::string label(const cri::ContainerStats& c, const char* key) {
  auto it = c.labels.find(key);
  return it == c.labels.end() ? "" : it->second;
}

// Containers by the uid of their pod.
std::map<std::string, std::vector<const cri::ContainerStats*>> by_pod(const std::vector<cri::ContainerStats>& all) {
  std::map<std::string, std::vector<const cri::ContainerStats*>> out;
  for (const auto& c : all)
    if (c.cpu_timestamp > 0) out[label(c, kPodUidLabel)].push_back(&c);
  return out;
}

// One metric family of the Prometheus text format.
class Family {
 public:
  Family(std::string& out, std::string name, const char* type, const char* help) : out_(out), name_(std::move(name)) {
    out_ += "# HELP " + name_ + " [STABLE] " + help + "\n# TYPE " + name_ + " " + type + "\n";
  }
  void add(const std::string& labels, double value, std::int64_t at_ns = 0) {
    char text[64];
    std::snprintf(text, sizeof text, "%.15g", value);
    out_ += name_ + (labels.empty() ? "" : "{" + labels + "}") + " " + text;
    if (at_ns > 0) out_ += " " + std::to_string(at_ns / 1'000'000);
    out_ += "\n";
  }

 private:
  std::string& out_;
  std::string name_;
};

std::string pod_labels(const json::Value& pod) {
  return "namespace=\"" + namespace_of(pod) + "\",pod=\"" + name_of(pod) + "\"";
}

std::string started_at(const json::Value& pod, const std::string& container) {
  for (const char* list : {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"})
    for (const auto& s : json::list(pod, "status", list))
      if (json::str(s, "name") == container) return std::string(json::str(s, "state", "running", "startedAt"));
  return "";
}

}  // namespace

std::uint64_t StatsCollector::rate(const std::string& id, std::int64_t at, std::uint64_t used) {
  std::lock_guard lock(mutex_);
  if (samples_.size() > 10'000) samples_.clear();
  auto [it, fresh] = samples_.try_emplace(id, Sample{at, used, 0});
  Sample& s = it->second;
  if (!fresh && at - s.at_ns >= 1'000'000'000 && used >= s.used_ns) {
    s.rate =
        static_cast<std::uint64_t>(static_cast<double>(used - s.used_ns) * 1e9 / static_cast<double>(at - s.at_ns));
    s.at_ns = at;
    s.used_ns = used;
  }
  return s.rate;
}

json::Value StatsCollector::summary(const std::vector<ObjectPtr>& pods,
                                    const std::vector<cri::ContainerStats>& containers) {
  std::int64_t now = now_ns();
  MemoryUse m = read_memory();
  DiskUse disk = read_disk(options_.root_dir);
  PidUse pids = read_pids();
  NodeUse use = read_node_use();
  auto used = static_cast<std::uint64_t>(use.cpu_ns);
  json::Value out;
  json::set(out, options_.node_name, "node", "nodeName");
  json::set(out, time_text(machine_.boot_time * 1'000'000'000), "node", "startTime");
  json::set(out, cpu_value(now, used, rate("", now, used)), "node", "cpu");
  MemoryNumbers node{static_cast<std::uint64_t>(use.working_set), static_cast<std::uint64_t>(use.working_set),
                     static_cast<std::uint64_t>(m.rss), static_cast<std::uint64_t>(m.page_faults),
                     static_cast<std::uint64_t>(m.major_page_faults)};
  json::set(out, memory_value(now, node), "node", "memory");
  json::set(out, m.available, "node", "memory", "availableBytes");
  json::set(out, disk_value(now, disk), "node", "fs");
  json::set(out, disk_value(now, disk), "node", "runtime", "imageFs");
  json::set(out, pids.max, "node", "rlimit", "maxpid");
  json::set(out, pids.used, "node", "rlimit", "curproc");

  auto groups = by_pod(containers);
  json::Array list;
  for (const auto& pod : pods) {
    auto group = groups.find(uid_of(*pod));
    if (group == groups.end()) continue;
    json::Value p;
    json::set(p, name_of(*pod), "podRef", "name");
    json::set(p, namespace_of(*pod), "podRef", "namespace");
    json::set(p, uid_of(*pod), "podRef", "uid");
    json::set(p, json::at(*pod, "status", "startTime"), "startTime");
    json::Array inner;
    std::uint64_t pod_used = 0, pod_rate = 0;
    MemoryNumbers total;
    for (const auto* c : group->second) {
      auto r = rate(c->id, c->cpu_timestamp, c->cpu_usage_ns);
      MemoryNumbers numbers{c->usage, c->working_set, c->rss, c->page_faults, c->major_page_faults};
      json::Value v;
      json::set(v, c->name, "name");
      json::set(v, started_at(*pod, c->name), "startTime");
      json::set(v, cpu_value(c->cpu_timestamp, c->cpu_usage_ns, r), "cpu");
      json::set(v, memory_value(c->memory_timestamp, numbers), "memory");
      json::set(v, time_text(c->cpu_timestamp), "rootfs", "time");
      json::set(v, disk.available, "rootfs", "availableBytes");
      json::set(v, disk.capacity, "rootfs", "capacityBytes");
      json::set(v, c->fs_used, "rootfs", "usedBytes");
      json::set(v, c->fs_inodes, "rootfs", "inodesUsed");
      inner.push_back(std::move(v));
      pod_used += c->cpu_usage_ns;
      pod_rate += r;
      total.usage += numbers.usage;
      total.working_set += numbers.working_set;
      total.rss += numbers.rss;
      total.faults += numbers.faults;
      total.major += numbers.major;
    }
    json::set(p, std::move(inner), "containers");
    json::set(p, cpu_value(now, pod_used, pod_rate), "cpu");
    json::set(p, memory_value(now, total), "memory");
    list.push_back(std::move(p));
  }
  json::set(out, std::move(list), "pods");
  return out;
}

std::string StatsCollector::metrics(const std::vector<ObjectPtr>& pods,
                                    const std::vector<cri::ContainerStats>& containers) {
  auto groups = by_pod(containers);
  struct Row {
    std::string labels;
    const cri::ContainerStats* stats;
    double started;
  };
  std::vector<Row> rows;
  struct PodRow {
    std::string labels;
    double cpu = 0, memory = 0;
    std::int64_t at = 0;
  };
  std::vector<PodRow> pod_rows;
  for (const auto& pod : pods) {
    auto group = groups.find(uid_of(*pod));
    if (group == groups.end()) continue;
    PodRow p{pod_labels(*pod)};
    for (const auto* c : group->second) {
      auto started = api::parse_time(started_at(*pod, c->name));
      double since = started ? std::chrono::duration<double>(started->time_since_epoch()).count() : 0;
      rows.push_back({"container=\"" + c->name + "\"," + pod_labels(*pod), c, since});
      p.cpu += static_cast<double>(c->cpu_usage_ns) / 1e9;
      p.memory += static_cast<double>(c->working_set);
      p.at = c->cpu_timestamp;
    }
    pod_rows.push_back(std::move(p));
  }
  std::string out;
  std::int64_t now = now_ns();
  NodeUse use = read_node_use();
  {
    Family f(out, "container_cpu_usage_seconds_total", "counter",
             "Cumulative cpu time consumed by the container in core-seconds");
    for (const auto& r : rows)
      f.add(r.labels, static_cast<double>(r.stats->cpu_usage_ns) / 1e9, r.stats->cpu_timestamp);
  }
  {
    Family f(out, "container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes");
    for (const auto& r : rows) f.add(r.labels, static_cast<double>(r.stats->working_set), r.stats->memory_timestamp);
  }
  {
    Family f(out, "container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds");
    for (const auto& r : rows) f.add(r.labels, r.started);
  }
  Family(out, "node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds")
      .add("", static_cast<double>(use.cpu_ns) / 1e9, now);
  Family(out, "node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes")
      .add("", static_cast<double>(use.working_set), now);
  {
    Family f(out, "pod_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the pod in core-seconds");
    for (const auto& p : pod_rows) f.add(p.labels, p.cpu, p.at);
  }
  {
    Family f(out, "pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes");
    for (const auto& p : pod_rows) f.add(p.labels, p.memory, p.at);
  }
  Family(out, "resource_scrape_error", "gauge", "1 if there was an error while getting container metrics, 0 otherwise")
      .add("", 0);
  return out;
}

}  // namespace lab::agent
