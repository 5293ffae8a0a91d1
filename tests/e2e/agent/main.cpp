// Runs the tests as the first process of new namespaces, so that containerd, shims, pods, mounts and the network end
// with it; then removes what is left: the directory and the cgroups.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/fs.h"
#include "base/log.h"
#include "machine.h"
#include "orchestrator/agent/volumes/mounts.h"

namespace {

void remove_cgroup_tree(const std::string& dir) {
  if (auto names = lab::fs::list_dir(dir))
    for (const auto& n : *names) {
      struct stat st{};
      std::string below = dir + "/" + n;
      if (::lstat(below.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) remove_cgroup_tree(below);
    }
  ::rmdir(dir.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();
  std::string cgroup = "/lab-agent-test-" + std::to_string(::getpid());
  char dir[] = "/var/tmp/lab-agent-test-XXXXXX";  // not a tmpfs: overlay needs a real file system
  if (!::mkdtemp(dir)) {
    std::perror("mkdtemp");
    return 1;
  }
  if (::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) {
    std::perror("unshare (these tests need root)");
    return 1;
  }
  pid_t child = ::fork();
  if (child == 0) {
    if (std::getenv("AGENT_TEST_DEBUG")) lab::log::set_level(lab::log::Level::kDebug);
    lab::agent::test::Machine::set_up_namespaces(dir, cgroup);
    int result = RUN_ALL_TESTS();
    std::fflush(nullptr);
    ::_exit(result);  // as pid 1: the kernel ends every process of the namespace
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ::umount2("/proc", MNT_DETACH);  // the child's: /proc/self means nothing to this process there
  if (auto done = lab::agent::unmount_below(dir); !done) std::fprintf(stderr, "%s\n", done.error().text().c_str());
  int result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (result != 0 && std::getenv("AGENT_TEST_KEEP"))
    std::fprintf(stderr, "kept: %s\n", dir);
  else if (auto done = lab::fs::remove_all(dir); !done)
    std::fprintf(stderr, "left behind: %s\n", done.error().text().c_str());
  for (const char* mount :
       {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "systemd", "unified", "hugetlb",
        "net_cls", "perf_event", "cpu,cpuacct", "net_cls,net_prio", "rdma", ""})
    remove_cgroup_tree(std::string("/sys/fs/cgroup/") + mount + cgroup);
  return result;
}
