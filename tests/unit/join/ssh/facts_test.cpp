#include "join/ssh/facts.h"

#include <gtest/gtest.h>

#include "base/subprocess.h"
#include "join/ssh/host_join.h"
#include "join/ssh/scripts.h"

namespace lab::join::ssh {
namespace {

HostFacts good() {
  return parse_facts(
      "sudo: unable to resolve host\narch=x86_64\nuser=root\nuid=0\nhostname=PC-7\nmachine_id=abc\naddresses=10.0.0.3 "
      "fd00::3 \nsource=10.0.0.3\n"
      "os=Debian GNU/Linux 12 "
      "(bookworm)\nhave=containerd\nhave=runc\nhave=mount\nhave=tar\nhave=sha256sum\nhave=setsid\nhave=apt-get\n"
      "free_install=1000000\nfree_data=1000000\napi=open\n");
}
const Need kNeed{.arch = "x86_64", .release = "0123", .bytes = 60 << 20, .api_host = "10.0.0.1", .api_port = 6443};

TEST(Facts, AreRead) {
  auto f = good();
  EXPECT_TRUE(f.root);
  EXPECT_EQ(f.hostname, "pc-7");
  EXPECT_EQ(f.addresses, (std::vector<std::string>{"10.0.0.3", "fd00::3"}));
  EXPECT_EQ(f.os, "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(f.free_install, 1000000ull << 10);
  EXPECT_TRUE(judge_facts(f, kNeed)) << judge_facts(f, kNeed).error().text();
  EXPECT_TRUE(missing_packages(f).packages.empty());
}

TEST(Facts, EachFaultHasItsWords) {
  struct Case {
    const char* name;
    void (*spoil)(HostFacts&);
    const char* says;
    const char* fix;
  };
  for (const auto& c : {
           Case{"no shell", [](HostFacts& f) { f = {}; }, "does not answer as a Linux machine", "log in by hand"},
           Case{"arch", [](HostFacts& f) { f.arch = "aarch64"; }, "architecture mismatch: it is aarch64",
                "build there"},
           Case{"no sudo",
                [](HostFacts& f) {
                  f.root = false, f.user = "student", f.sudo_refusal = "sudo: a password is required";
                },
                "user student is not root and may not use sudo without a password (sudo: a password is required)",
                "NOPASSWD"},
           Case{"tar", [](HostFacts& f) { f.programs.erase("tar"); }, "tar is not found", "install"},
           Case{"master", [](HostFacts& f) { f.master = true; }, "is a master itself", "lab reset"},
           Case{"space", [](HostFacts& f) { f.free_install = 8 << 20; },
                "no space: /opt/lab/releases needs 92 MiB and has 8 MiB free", "du -xh"},
           Case{"data", [](HostFacts& f) { f.free_data = 8 << 20; }, "no space: /var/lib/lab needs 200 MiB", "du -xh"},
           Case{"firewall", [](HostFacts& f) { f.api = "silent"; },
                "10.0.0.1:6443 does not answer from there: a firewall drops TCP port 6443", "open the port"},
           Case{"refused", [](HostFacts& f) { f.api = "Connection refused"; },
                "cannot be reached from there: Connection refused", "does the server run"},
       }) {
    auto f = good();
    c.spoil(f);
    auto verdict = judge_facts(f, kNeed);
    ASSERT_FALSE(verdict) << c.name;
    EXPECT_NE(verdict.error().message.find(c.says), std::string::npos) << c.name << ": " << verdict.error().message;
    EXPECT_NE(verdict.error().hint.find(c.fix), std::string::npos) << c.name << ": " << verdict.error().hint;
  }
  auto sudoer = good();
  sudoer.root = false;
  sudoer.sudo = true;
  EXPECT_TRUE(judge_facts(sudoer, kNeed));
  auto second = good();
  second.master = true;
  Need master = kNeed;
  master.control_plane = true;
  EXPECT_TRUE(judge_facts(second, master)) << "a master joins again as a master";
  auto has_it = good();
  has_it.free_install = 0;
  has_it.release = "0123";
  EXPECT_TRUE(judge_facts(has_it, kNeed)) << "what is there needs no space";
}

TEST(Facts, MissingPackages) {
  auto f = good();
  f.programs.erase("containerd");
  f.programs.erase("runc");
  EXPECT_EQ(missing_packages(f).packages, (std::vector<std::string>{"containerd", "runc"}));
  EXPECT_EQ(missing_packages(f).package_manager, "apt-get");
  f.programs.insert("crun");
  f.programs.insert("crio");
  EXPECT_TRUE(missing_packages(f).packages.empty()) << "another runtime serves as well";
  EXPECT_EQ(missing_packages(f, true).packages, std::vector<std::string>{"etcd-server"}) << "a master needs an etcd";
  f.programs.erase("apt-get");
  f.programs.insert("dnf");
  EXPECT_EQ(missing_packages(f, true).packages, std::vector<std::string>{"etcd"});
  f.programs.insert("etcd");
  EXPECT_TRUE(missing_packages(f, true).packages.empty());
}

// The script and its reader together, on this machine.
TEST(Facts, ProbeOfThisMachine) {
  auto done = run({.argv = {"sh", "-c", kProbeScript, "probe", "0123", "127.0.0.1", "1"}});
  ASSERT_TRUE(done) << done.error().text();
  auto f = parse_facts(done->out);
  EXPECT_FALSE(f.arch.empty());
  EXPECT_FALSE(f.hostname.empty());
  EXPECT_GT(f.free_install, 0u);
  EXPECT_TRUE(f.programs.contains("tar"));
  EXPECT_TRUE(f.release.empty());
  EXPECT_EQ(f.api, "Connection refused") << done->out;
}

TEST(Log, TellsStepReasonAndFix) {
  auto v = read_log(
      "[preflight] Running pre-flight checks\nwarning: x\n[discovery] Fetching\nerror: phase discovery: the cluster "
      "does not know the token \"abc\"\n"
      "  what to do: make one on the master\n");
  EXPECT_EQ(v.step, "discovery");
  EXPECT_EQ(v.reason, "phase discovery: the cluster does not know the token \"abc\"");
  EXPECT_EQ(v.fix, "make one on the master");
  v = read_log("[preflight] Running\nerror: two things are wrong:\n  [ERROR A]: a\n  [ERROR B]: b\n");
  EXPECT_EQ(v.step, "preflight");
  EXPECT_NE(v.reason.find("[ERROR B]: b"), std::string::npos);
  EXPECT_TRUE(read_log("").reason.empty());
}

}  // namespace
}  // namespace lab::join::ssh
