// Each third-party header has one folder: the one that wraps it.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/unit/architecture/tree.h"

namespace lab::architecture {
namespace {

struct Row {
  std::string prefix;                // of the header's path; the longest that matches holds
  std::vector<std::string> folders;  // where it may be included
  std::vector<std::string> headers;  // headers of ours that may pass it on; elsewhere it stays in .cpp files
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
      {"boost/json", {"base"}, {"base/json.h"}},
      {"boost/asio/", {"base/io"}, {}},
      {"boost/asio/buffer.hpp", {"base/io", "base/http"}, {}},  // the shape in which Beast takes bytes
      {"boost/beast/", {"base/http"}, {}},
      {"boost/system/", {"base", "base/io", "base/http"}, {}},  // error codes of the two above
      {"spdlog/", {"base"}, {}},
      // OpenSSL has three parts: TLS, digests and random bytes, certificates. hasher is a program of its own.
      {"openssl/", {"base/io", "base/crypto", "pki"}, {"pki/openssl.h"}},
      {"openssl/ssl.h", {"base/io"}, {}},
      {"openssl/sha.h", {"labs/dockercoins/src"}, {}},
      {"nghttp2/", {"base/http"}, {"base/http/h2_connection.h"}},
      {"wslay/", {"base/http"}, {}},
      {"zlib.h", {"base/http"}, {}},
      {"yaml-cpp/", {"base/yaml"}, {}},
      {"netlink/", {"base/netlink"}, {"base/netlink/message.h"}},
      {"nftables/", {"base/nft"}, {}},
      {"bpf/", {"overlay-net/flow_cache"}, {}},
      {"grpc", {"base/grpc"}, {}},
      // The messages of the container runtime interface, and no others.
      {"cri.pb.h", {"orchestrator/agent"}, {"orchestrator/agent/cri_convert.h"}},
      {"google/protobuf/", {"orchestrator/agent"}, {}},
      {"etcd_rpc.pb.h", {"orchestrator/store/etcd", "bootstrap/etcd"}, {}},
      {"sqlite3.h", {"orchestrator/store"}, {}},
      {"libssh/", {"join/ssh"}, {}},
      {"libvirt/", {"join/vm"}, {}},
      {"pugixml.hpp", {"join/vm"}, {}},
      {"CLI/", {"cli"}, {}},
      {"qrencode.h", {"labs/classroom/model"}, {}},
  };
  return all;
}

// What the compiler, the C library and the kernel bring.
bool is_of_the_system(const std::string& path) {
  static const std::set<std::string> kNames{
      "assert.h",  "ctype.h",  "dirent.h", "dlfcn.h", "elf.h",       "errno.h",    "fcntl.h",   "fnmatch.h",
      "ftw.h",     "getopt.h", "glob.h",   "grp.h",   "ifaddrs.h",   "inttypes.h", "libgen.h",  "limits.h",
      "link.h",    "locale.h", "malloc.h", "math.h",  "mntent.h",    "netdb.h",    "paths.h",   "poll.h",
      "pthread.h", "pty.h",    "pwd.h",    "sched.h", "semaphore.h", "setjmp.h",   "signal.h",  "spawn.h",
      "stdarg.h",  "stddef.h", "stdint.h", "stdio.h", "stdlib.h",    "string.h",   "strings.h", "syslog.h",
      "termios.h", "time.h",   "unistd.h", "utime.h", "utmp.h",      "wchar.h"};
  const std::string top = path.substr(0, path.find('/'));
  static const std::set<std::string> kFolders{"sys", "linux", "net", "netinet", "arpa", "asm"};
  if (path.find('/') != std::string::npos) return kFolders.contains(top);
  return path.find('.') == std::string::npos || kNames.contains(path);  // <vector>, <unistd.h>
}

bool is_ours(const std::string& path) {
  const std::string top = path.substr(0, path.find('/'));
  return std::any_of(tree().begin(), tree().end(), [&](const File& f) { return f.is_source && is_in(f.folder, top); });
}

const Row* row_of(const std::string& header) {
  const Row* best = nullptr;
  for (const auto& row : rows())
    if (header.starts_with(row.prefix) && (!best || row.prefix.size() > best->prefix.size())) best = &row;
  return best;
}

bool holds(const std::vector<std::string>& list, const std::string& what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

// Tests look at our work with other people's eyes: they may use any library.
bool is_test(const File& f) {
  return is_in(f.folder, "tests");
}

TEST(ThirdParty, EveryHeaderStaysInItsFolder) {
  std::set<std::string> met;
  for (const auto& f : tree()) {
    if (!f.is_source || is_test(f)) continue;
    for (const auto& i : f.includes) {
      if (is_of_the_system(i.path) || (i.path.find('/') != std::string::npos && is_ours(i.path))) continue;
      const std::string at = f.path + ":" + std::to_string(i.line) + " includes <" + i.path + ">";
      const Row* row = row_of(i.path);
      if (!row) {
        ADD_FAILURE() << at << ": a library that has no folder yet; give it one, and a row here";
        continue;
      }
      met.insert(row->prefix);
      EXPECT_TRUE(holds(row->folders, f.folder)) << at << "; use the wrapper in " << row->folders[0];
      if (f.is_header) EXPECT_TRUE(holds(row->headers, f.path)) << at << ": a header must not pass it on";
    }
  }
  for (const char* prefix : {"boost/json", "boost/asio/", "openssl/ssl.h", "nghttp2/", "sqlite3.h", "CLI/", "yaml-cpp/",
                             "netlink/", "nftables/", "libssh/", "libvirt/"})
    EXPECT_TRUE(met.contains(prefix)) << prefix << " was not met: the tree was not read, or its row is stale";
}

TEST(ThirdParty, OnlyTestsKnowTheTestLibraries) {
  for (const auto& f : tree())
    for (const auto& i : f.includes)
      if (i.path.starts_with("gtest/") || i.path.starts_with("gmock/") || i.path.starts_with("benchmark/"))
        EXPECT_TRUE(is_test(f)) << f.path << " includes " << i.path;
}

TEST(ThirdParty, TheTableForbidsWhatItMust) {
  EXPECT_EQ(row_of("boost/asio/io_context.hpp")->folders, std::vector<std::string>{"base/io"});
  EXPECT_EQ(row_of("openssl/ssl.h")->folders, std::vector<std::string>{"base/io"});
  EXPECT_EQ(row_of("boost/process.hpp"), nullptr);
  EXPECT_EQ(row_of("curl/curl.h"), nullptr);
  EXPECT_FALSE(is_of_the_system("sqlite3.h"));
  EXPECT_TRUE(is_of_the_system("vector"));
  EXPECT_TRUE(is_of_the_system("sys/stat.h"));
}

}  // namespace
}  // namespace lab::architecture
