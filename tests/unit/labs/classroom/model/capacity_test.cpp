// How many labs fit: the tightest resource sets the limit; what is read from a machine's files.
#include "labs/classroom/model/capacity.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>

#include "base/fs.h"

namespace lab::classroom {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

Machine plenty() {
  return {.memory_bytes = 1e15, .disk_bytes = 1e15, .threads = 1e9, .inotify_watches = 1e9, .millicores = 1e9};
}

const Resource& named(const Capacity& c, const std::string& name) {
  for (const auto& r : c.resources)
    if (r.name == name) return r;
  throw std::runtime_error("no resource " + name);
}

TEST(CapacityTest, TheTightestResourceSetsTheLimit) {
  const Need need = need_of(3);
  struct Case {
    const char* name;
    double Machine::* amount;
  };
  for (const auto& c :
       {Case{"memory", &Machine::memory_bytes}, Case{"disk", &Machine::disk_bytes}, Case{"threads", &Machine::threads},
        Case{"inotify watches", &Machine::inotify_watches}, Case{"processors", &Machine::millicores}}) {
    Machine machine = plenty();
    machine.*c.amount = need.once.*c.amount + 7.5 * (need.lab.*c.amount);
    const auto capacity = capacity_of(machine, need);
    EXPECT_EQ(capacity.labs, 7) << c.name;
    EXPECT_EQ(capacity.resources.front().name, c.name);
    EXPECT_FALSE(capacity.resources.front().advice.empty());
    EXPECT_EQ(named(capacity, c.name).labs, 7);
    machine.*c.amount = -5;
    EXPECT_EQ(capacity_of(machine, need).labs, 0) << c.name << " is overdrawn";
  }
}

TEST(CapacityTest, MoreNodesTakeMore) {
  for (int nodes = 1; nodes < 9; ++nodes) {
    const Machine a = need_of(nodes).lab, b = need_of(nodes + 1).lab;
    EXPECT_LT(a.memory_bytes, b.memory_bytes);
    EXPECT_LT(a.disk_bytes, b.disk_bytes);
    EXPECT_LT(a.threads, b.threads);
    EXPECT_LT(a.inotify_watches, b.inotify_watches);
    EXPECT_LT(a.millicores, b.millicores);
  }
}

TEST(CapacityTest, TheTableSaysIt) {
  Machine machine = plenty();
  machine.memory_bytes = 20 * kGiB;
  const std::string table = capacity_table(capacity_of(machine, need_of(3)));
  EXPECT_TRUE(table.starts_with("RESOURCE")) << table;
  EXPECT_NE(table.find("\nmemory"), std::string::npos) << table;
  EXPECT_NE(table.find("20.0 GiB"), std::string::npos) << table;
}

TEST(CapacityTest, WhatCannotBeReadSetsNoLimit) {
  Machine machine = plenty();
  machine.threads = std::numeric_limits<double>::infinity();
  const auto capacity = capacity_of(machine, need_of(1));
  for (const auto& r : capacity.resources) EXPECT_NE(r.name, "threads");
}

struct MachineTest : testing::Test {
  const std::string root = testing::TempDir() + "lab-machine-" + std::to_string(::getpid());
  void TearDown() override { EXPECT_TRUE(fs::remove_all(root)); }
  void write(const std::string& path, const std::string& text) {
    ASSERT_TRUE(fs::make_dirs(root + path.substr(0, path.rfind('/'))));
    ASSERT_TRUE(fs::write_file(root + path, text));
  }
};

TEST_F(MachineTest, IsReadFromItsFiles) {
  write("/proc/meminfo", "MemTotal: 9000000 kB\nMemFree: 1 kB\nMemAvailable:    4194304 kB\n");
  write("/proc/sys/kernel/pid_max", "32768\n");
  write("/proc/sys/kernel/threads-max", "190000\n");
  write("/proc/loadavg", "0.10 0.20 0.30 2/768 4711\n");
  write("/proc/sys/fs/inotify/max_user_watches", "8192\n");
  write("/proc/77/fdinfo/5", "pos:\t0\ninotify wd:1 ino:2\ninotify wd:2 ino:3\n");
  ASSERT_TRUE(fs::make_dirs(root + "/proc/77/fd"));
  ASSERT_TRUE(fs::symlink("anon_inode:inotify", root + "/proc/77/fd/5"));
  ASSERT_TRUE(fs::symlink("/dev/null", root + "/proc/77/fd/0"));
  const Machine m = look_at_machine(root, root);
  EXPECT_GT(m.memory_bytes, 3 * kGiB);
  EXPECT_LT(m.memory_bytes, 4 * kGiB) << "something is kept for the machine itself";
  EXPECT_GT(m.threads, 30000);
  EXPECT_LE(m.threads, 32768 - 768);
  EXPECT_EQ(m.inotify_watches, 8190);
  EXPECT_GT(m.disk_bytes, 0);
  EXPECT_GT(m.millicores, 0);

  // In a container the cgroup's limits hold, of either version.
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "3221225472\n");
  write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "1073741824\n");
  write("/sys/fs/cgroup/pids.max", "5000\n");
  write("/sys/fs/cgroup/pids.current", "1000\n");
  const Machine inside = look_at_machine(root, root);
  EXPECT_LT(inside.memory_bytes, 2 * kGiB);
  EXPECT_GT(inside.memory_bytes, 1 * kGiB);
  EXPECT_LE(inside.threads, 4000);
  EXPECT_GT(inside.threads, 3000);
}

TEST_F(MachineTest, NothingThatIsMissingIsAnError) {
  ASSERT_TRUE(fs::make_dirs(root));
  const Machine m = look_at_machine(root, root + "/not/there/yet");
  EXPECT_EQ(m.inotify_watches, std::numeric_limits<double>::infinity());
  EXPECT_GT(m.disk_bytes, 0) << "of the file system above";
}

TEST(ThisMachine, HasRoomForSomething) {
  const auto capacity = capacity_of(look_at_machine("", "/var/lib/lab"), need_of(1));
  EXPECT_EQ(capacity.resources.size(), 5u) << capacity_table(capacity);
}

TEST(LimitsTest, TooLittleForALabIsRefused) {
  EXPECT_TRUE(check_limits({}, 3));
  EXPECT_TRUE(check_limits({.memory_bytes = 8ull << 30, .cpus = 1, .pids = 5000, .disk_bytes = 20ull << 30}, 3));
  struct Case {
    Limits limits;
    const char* flag;
  };
  for (const auto& c : {Case{{.memory_bytes = 1 << 20}, "--memory"}, Case{{.pids = 10}, "--pids"},
                        Case{{.disk_bytes = 1 << 20}, "--disk"}}) {
    auto r = check_limits(c.limits, 3);
    ASSERT_FALSE(r) << c.flag;
    EXPECT_EQ(r.error().code, Code::kInvalid);
    EXPECT_NE(r.error().message.find(c.flag), std::string::npos) << r.error().message;
  }
}

}  // namespace
}  // namespace lab::classroom
