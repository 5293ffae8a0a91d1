#include "join/ssh/facts.h"

#include <cstdlib>
#include <sstream>

#include "join/ssh/scripts.h"

namespace lab::join::ssh {

namespace {

constexpr std::uint64_t kRoomBesides = 32ull << 20;   // for the copy's directory and the job's log
constexpr std::uint64_t kRoomForData = 200ull << 20;  // what the join's own preflight asks for

std::string mebibytes(std::uint64_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

Failure no_space(const std::string& where, std::uint64_t need, std::uint64_t free) {
  return fail(Code::kUnavailable,
              "no space: " + where + " needs " + mebibytes(need) + " and has " + mebibytes(free) + " free",
              "free some there (du -xh " + where + " | sort -h | tail; apt-get clean), then join again");
}

}  // namespace

HostFacts parse_facts(std::string_view probe_output) {
  HostFacts f;
  std::istringstream in{std::string(probe_output)};
  std::string line;
  while (std::getline(in, line)) {
    if (line.ends_with('\r')) line.pop_back();
    const auto eq = line.find('=');
    if (eq == std::string::npos) continue;
    const std::string name = line.substr(0, eq), value = line.substr(eq + 1);
    if (name == "arch") f.arch = value;
    if (name == "user") f.user = value;
    if (name == "uid") f.root = value == "0";
    if (name == "sudo") value == "yes" ? void(f.sudo = true) : void(f.sudo_refusal = value);
    if (name == "hostname")
      for (char c : value) f.hostname += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (name == "machine_id") f.machine_id = value;
    if (name == "os") f.os = value;
    if (name == "source") f.source = value;
    if (name == "have") f.programs.insert(value);
    if (name == "free_install") f.free_install = std::strtoull(value.c_str(), nullptr, 10) << 10;
    if (name == "free_data") f.free_data = std::strtoull(value.c_str(), nullptr, 10) << 10;
    if (name == "master") f.master = true;
    if (name == "release") f.release = value;
    if (name == "images") f.images = true;
    if (name == "api") f.api = value;
    if (name == "addresses") {
      std::istringstream words(value);
      for (std::string word; words >> word;) f.addresses.push_back(word);
    }
  }
  return f;
}

Result<void> judge_facts(const HostFacts& f, const Need& need) {
  if (f.arch.empty() || f.user.empty())
    return fail(Code::kInvalid, "the host does not answer as a Linux machine with a POSIX shell does",
                "log in by hand and look: does a shell start, does it print something odd?");
  if (f.arch != need.arch)
    return fail(Code::kInvalid, "architecture mismatch: it is " + f.arch + ", and this program is for " + need.arch,
                "join it from a machine of its own architecture, or build there and run lab join on it");
  if (!f.root && !f.sudo)
    return fail(
        Code::kUnauthorized,
        "user " + f.user + " is not root and may not use sudo without a password" +
            (f.sudo_refusal.empty() ? "" : " (" + f.sudo_refusal + ")"),
        "log in as root, or allow it there: echo '" + f.user + " ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/" + f.user);
  for (const char* program : {"tar", "sha256sum", "setsid"})
    if (!f.programs.contains(program))
      return fail(Code::kInvalid, std::string(program) + " is not found on it",
                  "install it: it is in tar, coreutils or util-linux");
  if (f.master && !need.control_plane)
    return fail(Code::kAlreadyExists, "it is a master itself: /etc/kubernetes/pki/ca.key is there",
                "reset it before it joins another cluster: lab reset");
  if (f.release != need.release && f.free_install < need.bytes + kRoomBesides)
    return no_space(kReleases, need.bytes + kRoomBesides, f.free_install);
  if (f.free_data < kRoomForData) return no_space("/var/lib/lab", kRoomForData, f.free_data);
  const std::string api = need.api_host + ":" + std::to_string(need.api_port);
  if (f.api == "silent")
    return fail(Code::kUnavailable,
                "the API server " + api + " does not answer from there: a firewall drops TCP port " +
                    std::to_string(need.api_port) + ", or there is no route",
                "open the port between the two (on the master: ufw allow " + std::to_string(need.api_port) +
                    "/tcp, or firewall-cmd --add-port=" + std::to_string(need.api_port) +
                    "/tcp), and try there: curl -k https://" + api + "/version");
  if (!f.api.empty() && f.api != "open")
    return fail(Code::kUnavailable, "the API server " + api + " cannot be reached from there: " + f.api,
                "is the address one that other machines reach (lab init --apiserver-advertise-address), and does the "
                "server run?");
  return {};
}

Missing missing_packages(const HostFacts& f, bool control_plane) {
  Missing out;
  if (!f.programs.contains("containerd") && !f.programs.contains("crio")) out.packages.push_back("containerd");
  if (!f.programs.contains("runc") && !f.programs.contains("crun")) out.packages.push_back("runc");
  if (!f.programs.contains("mount")) out.packages.push_back("mount");
  for (const char* manager : {"apt-get", "dnf", "yum", "zypper", "pacman", "apk"})
    if (out.package_manager.empty() && f.programs.contains(manager)) out.package_manager = manager;
  if (control_plane && !f.programs.contains("etcd"))
    out.packages.push_back(out.package_manager == "apt-get" ? kDebianEtcd : "etcd");
  return out;
}

}  // namespace lab::join::ssh
