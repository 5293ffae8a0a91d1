#include "bootstrap/local/profile.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <thread>

#include "base/json.h"
#include "base/subprocess.h"
#include "bootstrap/node/namespace_driver.h"

namespace lab::bootstrap {

namespace {

constexpr std::string_view kSuffix = ".json";
constexpr std::size_t kLongestName = 40;
constexpr const char* kLockDirectory = "/run/lab";
constexpr auto kHelperLimit = std::chrono::seconds(10);

json::Object encode(const NodeSpec& n) {
  return {{"name", n.name}, {"address", n.address}, {"memory", n.memory_bytes}, {"cpus", n.cpus}, {"sharedMaster", n.shared_master}};
}

NodeSpec decode_node(const json::Value& v) {
  const auto& cpus = json::at(v, "cpus");
  return {.name = std::string(json::str(v, "name")),
          .address = std::string(json::str(v, "address")),
          .memory_bytes = static_cast<std::uint64_t>(json::num(v, "memory")),
          .cpus = cpus.is_double() ? cpus.get_double() : static_cast<double>(json::as_int(cpus)),
          .shared_master = json::flag(v, "sharedMaster")};
}

json::Object encode(const LabLimits& l) {
  return {{"memory", l.memory_bytes}, {"cpus", l.cpus}, {"pids", l.pids}, {"disk", l.disk_bytes}};
}

LabLimits decode_limits(const json::Value& v) {
  auto bytes = [&](const char* name) { return static_cast<std::uint64_t>(std::max<std::int64_t>(json::num(v, name), 0)); };
  const auto& cpus = json::at(v, "cpus");
  return {.memory_bytes = bytes("memory"),
          .cpus = cpus.is_double() ? cpus.get_double() : static_cast<double>(json::as_int(cpus)),
          .pids = bytes("pids"),
          .disk_bytes = bytes("disk")};
}

}  // namespace

Result<void> check_profile_name(const std::string& name) {
  bool ok = !name.empty() && name.size() <= kLongestName && std::isalpha(static_cast<unsigned char>(name.front()));
  for (char c : name) ok = ok && (std::islower(static_cast<unsigned char>(c)) || std::isdigit(static_cast<unsigned char>(c)) || c == '-');
  if (ok) return {};
  return fail(Code::kInvalid, "\"" + name + "\" is no name for a lab", "use lower-case letters, digits and '-', a letter first");
}

Result<Profile> load_profile(const std::string& name) {
  LAB_CHECK(check_profile_name(name));
  auto text = fs::read_file(LabLayout{name}.profile_file());
  if (!text) {
    if (text.error().code != Code::kNotFound) return std::unexpected(std::move(text).error());
    return fail(Code::kNotFound, "there is no lab \"" + name + "\" on this machine", "make it: lab start" + (name == "lab" ? std::string() : " --profile " + name));
  }
  auto v = json::parse(*text);
  if (!v) return std::unexpected(std::move(v).error().with_context("read " + LabLayout{name}.profile_file()));
  return decode_profile(name, *v);
}

Profile decode_profile(const std::string& name, const json::Value& v) {
  Profile p;
  p.name = name;
  p.driver = json::str(v, "driver");
  p.network.bridge = json::str(v, "bridge");
  if (auto subnet = Cidr::parse(json::str(v, "subnet"))) p.network.subnet = *subnet;
  if (json::flag(v, "isolated")) p.network.netns = p.layout().network_file();
  for (const auto& n : json::list(v, "nodes")) p.nodes.push_back(decode_node(n));
  p.masters = static_cast<int>(std::max<std::int64_t>(json::num(v, "masters"), 1));   // absent: of an earlier version
  p.token = json::str(v, "token");
  p.encrypt = json::flag(v, "encrypt");
  if (json::str(v, "ipam") == "ring") p.ipam = "ring";
  p.kubeconfig = json::str(v, "kubeconfig");
  p.kubeconfig_made = json::flag(v, "kubeconfigMade");
  p.forwarding_before = json::str(v, "forwardingBefore");
  p.node_grace_seconds = static_cast<int>(json::num(v, "nodeGraceSeconds"));
  p.pod_toleration_seconds = static_cast<int>(json::num(v, "podTolerationSeconds"));
  p.restoring = json::str(v, "restoring");
  p.isolation.limits = decode_limits(json::at(v, "limits"));
  p.isolation.users.first = static_cast<std::uint32_t>(json::num(v, "firstUser"));
  p.from = json::str(v, "from");
  p.copying = json::flag(v, "copying");
  for (const auto& id : json::list(v, "images")) p.images.emplace_back(json::as_str(id));
  return p;
}

json::Value encode_profile(const Profile& p) {
  json::Array nodes;
  for (const auto& n : p.nodes) nodes.push_back(encode(n));
  json::Value v = json::Object{{"driver", p.driver},
                               {"bridge", p.network.bridge},
                               {"subnet", p.network.subnet.text()},
                               {"nodes", std::move(nodes)},
                               {"masters", p.masters},
                               {"token", p.token},
                               {"kubeconfig", p.kubeconfig},
                               {"kubeconfigMade", p.kubeconfig_made},
                               {"forwardingBefore", p.forwarding_before},
                               {"nodeGraceSeconds", p.node_grace_seconds},
                               {"podTolerationSeconds", p.pod_toleration_seconds}};
  if (p.encrypt) json::set(v, true, "encrypt");
  if (p.ipam != "podcidr") json::set(v, p.ipam, "ipam");
  if (p.network.isolated()) json::set(v, true, "isolated");
  if (!p.from.empty()) json::set(v, p.from, "from");
  if (p.copying) json::set(v, true, "copying");
  if (!p.images.empty()) json::set(v, json::Array(p.images.begin(), p.images.end()), "images");
  if (!p.restoring.empty()) json::set(v, p.restoring, "restoring");
  if (p.isolation.limits != LabLimits{}) json::set(v, encode(p.isolation.limits), "limits");
  if (!p.isolation.users.empty()) json::set(v, p.isolation.users.first, "firstUser");
  return v;
}

Result<void> save_profile(const Profile& p) {
  LAB_CHECK(fs::make_dirs(kLabsDirectory, 0711));
  return fs::write_file(p.layout().profile_file(), json::dump_pretty(encode_profile(p), 2) + "\n", 0600);
}

std::string profile_flag(const std::string& profile) { return profile == "lab" ? std::string() : " --profile " + profile; }

Result<std::vector<std::string>> list_profiles() {
  std::vector<std::string> out;
  if (!fs::exists(kLabsDirectory)) return out;
  LAB_TRY(auto names, fs::list_dir(kLabsDirectory));
  for (const auto& name : names)
    if (name.ends_with(kSuffix)) out.push_back(name.substr(0, name.size() - kSuffix.size()));
  return out;
}

Result<void> forget_profile(const std::string& name) {
  LAB_CHECK(check_profile_name(name));
  const std::string file = LabLayout{name}.profile_file();
  LAB_CHECK(fs::remove_file(file));
  if (auto names = fs::list_dir(kLabsDirectory))   // also what a save that was killed left
    for (const auto& other : *names)
      if (fs::join(kLabsDirectory, other).starts_with(file + ".tmp-")) LAB_CHECK(fs::remove_file(fs::join(kLabsDirectory, other)));
  for (const char* dir : {kLabsDirectory, "/var/lib/lab"}) ::rmdir(dir);   // with the last lab
  return {};
}

namespace {
std::map<std::string, DriverFactory>& drivers() {
  static std::map<std::string, DriverFactory> all{
      {"namespace", [](const Profile& p) -> Result<std::unique_ptr<NodeDriver>> { return make_namespace_driver(p.layout(), p.network, p.isolation); }}};
  return all;
}
}  // namespace

void add_driver(const std::string& name, DriverFactory factory) { drivers()[name] = std::move(factory); }

Result<std::unique_ptr<NodeDriver>> make_driver(const Profile& profile) {
  if (auto found = drivers().find(profile.driver); found != drivers().end()) return found->second(profile);
  std::string names;
  for (const auto& [name, factory] : drivers()) names += (names.empty() ? "" : ", ") + name;
  return fail(Code::kInvalid, "the driver \"" + profile.driver + "\" is not one of: " + names);
}

Result<ProfileLock> ProfileLock::take(const std::string& profile) {
  LAB_CHECK(check_profile_name(profile));
  LAB_CHECK(fs::make_dirs(kLockDirectory));
  const std::string path = fs::join(kLockDirectory, "profile-" + profile + ".lock");
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno("open " + path);
  const auto deadline = std::chrono::steady_clock::now() + kHelperLimit;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = "";
    (void)!::pread(fd, holder, sizeof holder - 1, 0);
    if (!process_alive(std::atoi(holder)) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    ::close(fd);
    return fail(Code::kConflict, "another lab command works on \"" + profile + "\" (pid " + std::string(holder) + ")", "wait for it, or end it");
  }
  const std::string pid = std::to_string(::getpid());
  (void)!::ftruncate(fd, 0);
  (void)!::pwrite(fd, pid.data(), pid.size(), 0);
  return ProfileLock(fd);
}

ProfileLock::~ProfileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace lab::bootstrap
