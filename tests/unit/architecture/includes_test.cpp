// Who may include whom, as docs/architecture.md says it. A folder that is not in the table fails: name what it may use.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/unit/architecture/tree.h"

namespace lab::architecture {
namespace {

// One row: a folder, and the folders whose headers it may include beside its own. The row of the longest matching
// folder holds. "x/" stands for x and all below it; "x" for x alone.
struct Row {
  std::string folder;
  std::vector<std::string> may_use;
};

const std::vector<std::string> kBase{"base/"};
// What every client of the API stands on: the store and the API server are out of its sight, so that it runs in one
// process with them or in another without knowing which.
const std::vector<std::string> kClient{"base/", "pki", "orchestrator/api", "orchestrator/client"};

std::vector<std::string> plus(std::vector<std::string> list, std::vector<std::string> more) {
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

const std::vector<Row>& rows() {
  static const std::vector<Row> all{
      // The ground floor: base itself knows nobody; each wrapper knows base, and what is said here.
      {"base", {}},
      {"base/crypto", {"base"}},
      {"base/io", {"base"}},
      {"base/yaml", {"base"}},
      {"base/netlink", {"base"}},
      {"base/nft", {"base"}},
      {"base/grpc", {"base", "base/io"}},
      {"base/http", {"base", "base/io", "base/crypto"}},
      {"pki", {"base", "base/crypto", "base/yaml"}},

      {"orchestrator/api", plus(kBase, {"pki"})},
      {"orchestrator/store", kBase},
      {"orchestrator/client", plus(kBase, {"pki", "orchestrator/api"})},
      // It implements the client's Transport, in process; of the client it uses nothing more than that interface.
      {"orchestrator/apiserver", plus(kBase, {"pki", "orchestrator/api", "orchestrator/store", "orchestrator/client"})},
      {"orchestrator/scheduler", kClient},
      {"orchestrator/controllers", kClient},
      {"orchestrator/agent", kClient},
      {"orchestrator/proxy", kClient},
      {"orchestrator/dns", kClient},
      {"overlay-net", kClient},

      // bootstrap, from its own ground up.
      {"bootstrap/phases", {"base"}},
      {"bootstrap/config", plus(kBase, {"orchestrator/api"})},
      {"bootstrap/supervise", {"base"}},
      {"bootstrap/services", {"base", "bootstrap/supervise"}},
      {"bootstrap/common", plus(kClient, {"bootstrap/services"})},
      {"bootstrap/etcd",
       plus(kBase, {"pki", "bootstrap/common", "bootstrap/services", "orchestrator/client", "orchestrator/store/etcd"})},
      {"bootstrap/preflight", plus(kBase, {"bootstrap/common"})},
      {"bootstrap/init",
       plus(kClient, {"bootstrap/common", "bootstrap/etcd", "bootstrap/config", "bootstrap/phases", "bootstrap/preflight", "bootstrap/services"})},
      {"bootstrap/upgrade",
       plus(kClient, {"bootstrap/common", "bootstrap/phases", "bootstrap/services", "bootstrap/supervise"})},
      {"bootstrap/certs", plus(kClient, {"bootstrap/common", "bootstrap/services"})},
      {"bootstrap/node", plus(kBase, {"bootstrap/common", "bootstrap/supervise"})},
      {"bootstrap/snapshot", {"base", "base/crypto", "bootstrap/node"}},
      {"bootstrap/local", plus(kClient, {"bootstrap/common", "bootstrap/node", "bootstrap/snapshot"})},
      {"join", plus(kClient, {"bootstrap/certs", "bootstrap/common", "bootstrap/config", "bootstrap/init", "bootstrap/phases", "bootstrap/preflight", "bootstrap/services"})},
      {"join/ssh", {"base", "base/crypto"}},  // what it brings to hosts, and which cluster, the command hands in
      {"join/vm", {"base", "base/crypto", "base/yaml", "base/netlink", "bootstrap/common", "bootstrap/node", "join/ssh"}},  // no cluster: that is the command's

      {"labs", plus(kClient, {"bootstrap/"})},
      {"labs/dockercoins", {}},  // programs of the class: nothing of the project is in them
      {"labs/images", {}},

      // The only place that composes, and the tests.
      {"cli", {"base/", "pki", "orchestrator/", "overlay-net/", "bootstrap/", "join/", "labs/"}},
      {"tests", {"base/", "pki", "orchestrator/", "overlay-net/", "bootstrap/", "join/", "labs/", "cli", "tests/"}},
  };
  return all;
}

const Row* row_of(const std::string& folder) {
  const Row* best = nullptr;
  for (const auto& row : rows())
    if (is_in(folder, row.folder) && (!best || row.folder.size() > best->folder.size())) best = &row;
  // "base" is the row of that folder alone: each wrapper below has its own.
  return best && best->folder == "base" && folder != "base" ? nullptr : best;
}

bool allows(const Row& row, const std::string& target) {
  if (row.folder != "base" && is_in(target, row.folder)) return true;
  if (row.folder == target) return true;
  return std::any_of(row.may_use.begin(), row.may_use.end(), [&](const std::string& m) {
    return m.ends_with('/') ? is_in(target, m.substr(0, m.size() - 1)) : target == m;
  });
}

// The floors of the house: an include that begins with one of these is ours.
const std::set<std::string>& floors() {
  static const std::set<std::string> all = [] {
    std::set<std::string> out;
    for (const auto& row : rows()) out.insert(row.folder.substr(0, row.folder.find('/')));
    return out;
  }();
  return all;
}

bool is_ours(const Include& include) {
  return floors().contains(include.path.substr(0, include.path.find('/'))) &&
         include.path.find('/') != std::string::npos;
}

std::string where(const File& f, const Include& i) {
  return f.path + ":" + std::to_string(i.line) + " includes " + i.path;
}

TEST(Includes, EveryFolderHasARow) {
  for (const auto& f : tree())
    if (f.is_source) EXPECT_TRUE(row_of(f.folder)) << f.folder << ": say in this table what it may use";
}

TEST(Includes, RowsAreOfFoldersThatExist) {
  for (const auto& row : rows())
    EXPECT_TRUE(std::any_of(tree().begin(), tree().end(), [&](const File& f) { return is_in(f.folder, row.folder); }))
        << row.folder << " has gone: take its row out";
}

TEST(Includes, FoldersUseOnlyWhatLiesBelowThem) {
  int seen = 0;
  for (const auto& f : tree()) {
    const Row* row = f.is_source ? row_of(f.folder) : nullptr;
    if (!row) continue;
    for (const auto& i : f.includes) {
      if (!is_ours(i)) continue;
      ++seen;
      const std::string target = i.path.substr(0, i.path.rfind('/'));
      EXPECT_TRUE(allows(*row, target)) << where(f, i) << ", which is not for " << row->folder;
      EXPECT_FALSE(i.angled) << where(f, i) << ": our own headers stand in quotes";
    }
  }
  EXPECT_GT(seen, 500) << "the tree was not read";
}

// A rule that lets everything pass would pass every tree: these must not.
TEST(Includes, TheTableForbidsWhatItMust) {
  struct Case {
    const char* folder;
    const char* target;
  };
  for (const auto& c :
       {Case{"base", "base/io"}, Case{"base/io", "base/http"}, Case{"base", "pki"}, Case{"pki", "orchestrator/api"},
        Case{"orchestrator/store", "orchestrator/api"}, Case{"orchestrator/controllers", "orchestrator/apiserver"},
        Case{"orchestrator/scheduler", "orchestrator/store"},
        Case{"orchestrator/agent", "orchestrator/apiserver/authz"}, Case{"orchestrator/proxy", "orchestrator/agent"},
        Case{"overlay-net/agent", "orchestrator/apiserver"}, Case{"labs/play", "orchestrator/store"},
        Case{"bootstrap/init", "join"}, Case{"join/ssh", "bootstrap/common"}, Case{"bootstrap/supervise", "bootstrap/services"},
        Case{"bootstrap/node", "cli"}, Case{"orchestrator/api", "orchestrator/client"},
        Case{"labs/dockercoins/src", "base"}}) {
    const Row* row = row_of(c.folder);
    ASSERT_TRUE(row) << c.folder;
    EXPECT_FALSE(allows(*row, c.target)) << c.folder << " -> " << c.target;
  }
  EXPECT_TRUE(allows(*row_of("orchestrator/agent/volumes"), "orchestrator/agent"));
  EXPECT_TRUE(allows(*row_of("cli"), "orchestrator/apiserver"));
  EXPECT_FALSE(row_of("base/ssh")) << "a new wrapper needs a row of its own";
}

}  // namespace
}  // namespace lab::architecture
