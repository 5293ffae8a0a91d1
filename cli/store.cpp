// lab store migrate: a master's data from its own store into an etcd, and back.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/fs.h"
#include "bootstrap/common/progress.h"
#include "bootstrap/services/service_manager.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "cli/store.h"
#include "orchestrator/store/etcd/etcd.h"
#include "orchestrator/store/format.h"
#include "orchestrator/store/migrate.h"

namespace lab::cli {

namespace {

constexpr const char* kServer = "lab-server";
constexpr const char* kStoreFlags[] = {"--store", "--etcd-cafile", "--etcd-certfile", "--etcd-keyfile"};

bool is_etcd(const std::string& store) {
  return store.starts_with("etcd=");
}

Result<void> check_kind(const std::string& flag, const std::string& store) {
  if (store == "embedded" || (is_etcd(store) && store.size() > 5)) return {};
  return fail(Code::kInvalid, flag + " " + store + " names no store", "embedded, or etcd=https://HOST:2379[,...]");
}

// Where the supervisor keeps the server's unit; systemd's is another file, which its owner edits.
Result<bootstrap::Unit> server_unit() {
  return bootstrap::read_unit(fs::join(bootstrap::kUnitDirectory, std::string(kServer) + ".json"));
}

std::string flag_of(const std::vector<std::string>& argv, const std::string& flag) {
  auto at = std::find(argv.begin(), argv.end(), flag);
  return at == argv.end() || at + 1 == argv.end() ? std::string() : *(at + 1);
}

Result<std::string> source_of(const Invocation& in) {
  if (in.has("from")) return in.get("from");
  if (is_etcd(in.get("to"))) return std::string("embedded");
  if (auto unit = server_unit())
    if (auto used = flag_of(unit->argv, "--store"); is_etcd(used)) return used;
  return fail(Code::kInvalid, "it is not known from where to move", "say it: --from etcd=https://HOST:2379[,...]");
}

StoreChoice choice_of(const Invocation& in, const std::string& store) {
  StoreChoice c{.store = store, .data_dir = in.get("data-dir")};
  if (store.find("https://") != std::string::npos) {
    c.ca_file = in.get("etcd-cafile");
    c.cert_file = in.get("etcd-certfile");
    c.key_file = in.get("etcd-keyfile");
  }
  return c;
}

std::vector<std::string> flags_for(const StoreChoice& c) {
  std::vector<std::string> out{"--store", c.store};
  for (const auto& [flag, file] :
       {std::pair{"--etcd-cafile", c.ca_file}, {"--etcd-certfile", c.cert_file}, {"--etcd-keyfile", c.key_file}})
    if (!file.empty()) out.insert(out.end(), {flag, file});
  return out;
}

Result<bool> server_runs(bootstrap::ServiceManager& services) {
  LAB_TRY(auto all, services.list());
  return std::any_of(all.begin(), all.end(), [](const auto& s) { return s.name == kServer && s.running; });
}

// The file goes out of the way, so that what has moved is not taken for what is current, and can be gone back to by
// hand.
Result<std::string> set_aside(const std::string& file) {
  std::string aside = file + ".moved";
  for (int n = 2; fs::exists(aside); ++n) aside = file + ".moved-" + std::to_string(n);
  for (const char* part : {"-wal", "-shm", ""})
    if (fs::exists(file + part) && ::rename((file + part).c_str(), (aside + part).c_str()) != 0)
      return fail_errno("rename " + file + part);
  return aside;
}

Result<void> point_server_to(bootstrap::ServiceManager& services, const StoreChoice& target, bool start) {
  auto unit = server_unit();
  if (!unit) {
    std::string words;
    for (const auto& w : flags_for(target)) words += " " + w;
    std::printf("Start the server with:%s\n", words.c_str());
    return {};
  }
  std::vector<std::string> argv;
  for (std::size_t i = 0; i < unit->argv.size(); ++i) {
    const bool mine = std::find(std::begin(kStoreFlags), std::end(kStoreFlags), unit->argv[i]) != std::end(kStoreFlags);
    if (mine)
      ++i;
    else
      argv.push_back(unit->argv[i]);
  }
  for (auto& w : flags_for(target)) argv.push_back(std::move(w));
  unit->argv = std::move(argv);
  if (!start) return bootstrap::write_unit(*unit);
  return services.ensure_running(*unit);
}

Result<store::Migration> move_objects(const StoreChoice& source, const StoreChoice& target) {
  LAB_TRY(auto from, open_store(source));
  LAB_TRY(auto to, open_store(target));
  bootstrap::Progress progress;
  auto done = store::migrate(*from, *to, [&](const std::string& step) { progress.step("store", step); });
  if (done) progress.done();
  return done;
}

Result<void> migrate_store(const Invocation& in) {
  LAB_CHECK(check_kind("--to", in.get("to")));
  LAB_TRY(auto from_name, source_of(in));
  LAB_CHECK(check_kind("--from", from_name));
  if (from_name == in.get("to")) return fail(Code::kInvalid, "the data is in " + from_name + " already");
  const StoreChoice source = choice_of(in, from_name), target = choice_of(in, in.get("to"));
  if (from_name == "embedded" && !fs::exists(source.file()))
    return fail(Code::kNotFound, "there is no store " + source.file(),
                "is this the master? --data-dir names another place");
  auto services = bootstrap::ServiceManager::detect();
  LAB_TRY(bool running, server_runs(*services));
  if (running && !in.flag("stop-server"))
    return fail(Code::kConflict, "the server runs on this machine (" + std::string(kServer) + ")",
                "give --stop-server: it is stopped, and started on the new store");
  if (running) LAB_CHECK(services->stop(kServer));
  auto moved = move_objects(source, target);
  if (!moved) {
    if (running) LAB_CHECK(services->restart(kServer));  // on the store that it had: nothing in that has changed
    return std::unexpected(std::move(moved).error());
  }
  const store::Migration done = *moved;
  if (from_name == "embedded") {
    LAB_TRY(auto aside, set_aside(source.file()));
    std::printf("The old store is kept as %s.\n", aside.c_str());
  } else {
    std::printf("The objects in etcd are kept; remove them when they are not needed: etcdctl del --prefix %s\n",
                store::kObjects);
  }
  LAB_CHECK(point_server_to(*services, target, running));
  std::printf("Moved %zu objects (%llu bytes) to %s; revision %lld is now %lld.\n", done.objects,
              static_cast<unsigned long long>(done.bytes), in.get("to").c_str(),
              static_cast<long long>(done.from_revision), static_cast<long long>(done.to_revision));
  return {};
}

}  // namespace

std::string StoreChoice::file() const {
  return fs::join(data_dir, "state.db");
}

Result<std::unique_ptr<store::Store>> open_store(const StoreChoice& c) {
  if (c.store.empty() || c.store == "embedded") {
    LAB_CHECK(fs::make_dirs(c.data_dir, 0700));
    return store::open_embedded({.path = c.file()}, "lab v" LAB_VERSION);
  }
  LAB_CHECK(check_kind("--store", c.store));
  store::EtcdOptions o;
  std::string rest = c.store.substr(5);
  while (!rest.empty()) {
    auto comma = rest.find(',');
    o.cluster.endpoints.push_back(rest.substr(0, comma));
    rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
  }
  o.cluster.ca_file = c.ca_file;
  o.cluster.cert_file = c.cert_file;
  o.cluster.key_file = c.key_file;
  return store::open_etcd(std::move(o));
}

Commands store_commands() {
  return {
      {.path = "store", .summary = "Where a master keeps the cluster's data"},
      {.path = "store migrate",
       .summary = "Move a master's data from its own store into an etcd, or back",
       .details = "As in: lab store migrate --to etcd=https://127.0.0.1:2379 --stop-server\n"
                  "The target must be empty and nobody may write either store meanwhile. All is compared before the "
                  "server uses it.\n"
                  "Objects keep their uids; their resourceVersions are new, and higher than any from before.",
       .options =
           {{.name = "to", .value = "STORE", .help = "embedded, or etcd=URL[,URL...]"},
            {.name = "from", .value = "STORE", .help = "Default: the one that the server uses"},
            {.name = "stop-server", .help = "Stop the server, and start it on the new store"},
            {.name = "data-dir", .value = "DIR", .help = "The embedded store", .fallback = "/var/lib/lab/server"},
            {.name = "etcd-cafile",
             .value = "FILE",
             .help = "CA of etcd's certificates",
             .fallback = "/etc/kubernetes/pki/etcd/ca.crt"},
            {.name = "etcd-certfile",
             .value = "FILE",
             .help = "Certificate towards etcd",
             .fallback = "/etc/kubernetes/pki/apiserver-etcd-client.crt"},
            {.name = "etcd-keyfile",
             .value = "FILE",
             .help = "Its key",
             .fallback = "/etc/kubernetes/pki/apiserver-etcd-client.key"}},
       .run = [](const Invocation& in) { return finish(migrate_store(in)); }},
  };
}

}  // namespace lab::cli
