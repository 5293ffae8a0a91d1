#include "overlay-net/cni/plugin.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "overlay-net/cni/agent_call.h"
#include "overlay-net/cni/cni_error.h"
#include "overlay-net/cni/protocol.h"
#include "overlay-net/cni/wiring.h"

namespace lab::overlay {
namespace {

constexpr std::array<std::string_view, 4> kVersions{"0.3.0", "0.3.1", "0.4.0", "1.0.0"};

bool known_version(std::string_view v) {
  return std::ranges::find(kVersions, v) != kVersions.end();
}

struct Config {
  json::Value json;
  std::string version, socket;
};

using Outcome = std::expected<std::string, CniError>;  // text for standard output

std::string path_of(const CniInvocation& in) {
  return "/v1/pods/" + in.container_id + "/" + in.ifname;
}

std::expected<Config, CniError> read_config(const CniInvocation& in) {
  auto parsed = json::parse(in.config);
  if (!parsed || !parsed->is_object()) {
    return cni_fail(kCniDecode, "the network configuration is not JSON", parsed ? "" : parsed.error().message);
  }
  Config out{std::move(*parsed)};
  out.version = json::str(out.json, "cniVersion");
  if (!known_version(out.version)) {
    return cni_fail(kCniIncompatibleVersion, "CNI version '" + out.version + "' is not supported",
                    "supported: 0.3.0, 0.3.1, 0.4.0, 1.0.0");
  }
  if (json::str(out.json, "name").empty() && in.program != "loopback") {
    return cni_fail(kCniInvalidConfig, "the network configuration has no name");
  }
  out.socket = json::str(out.json, "agentSocket");
  if (out.socket.empty()) out.socket = kAgentSocket;
  return out;
}

// Container ids become parts of a path: only the characters that the specification allows.
bool valid_id(const std::string& s) {
  auto fine = [](char c) { return isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-'; };
  return !s.empty() && isalnum(static_cast<unsigned char>(s[0])) && std::ranges::all_of(s, fine);
}

std::optional<CniError> check_environment(const CniInvocation& in) {
  if (!valid_id(in.container_id)) return CniError{kCniInvalidEnvironment, "CNI_CONTAINERID is missing or invalid"};
  if (in.ifname.empty() || in.ifname.size() > kMaxLinkName || in.ifname == "." || in.ifname == ".." ||
      in.ifname.find_first_of("/: \t") != std::string::npos) {
    return CniError{kCniInvalidEnvironment, "CNI_IFNAME '" + in.ifname + "' is missing or invalid"};
  }
  if (in.netns.empty() && in.command != "DEL") return CniError{kCniInvalidEnvironment, "CNI_NETNS is missing"};
  return std::nullopt;
}

// CNI_ARGS is "KEY=VALUE;KEY=VALUE".
std::string argument(const std::string& args, std::string_view key) {
  std::string wanted = ";" + std::string(key) + "=";
  std::string all = ";" + args;
  auto at = all.find(wanted);
  if (at == std::string::npos) return {};
  auto start = at + wanted.size();
  return all.substr(start, all.find(';', start) - start);
}

PodRequest request_of(const CniInvocation& in, const Config& config) {
  PodRequest out{in.container_id, in.ifname, in.netns, argument(in.args, "K8S_POD_NAMESPACE"),
                 argument(in.args, "K8S_POD_NAME")};
  for (const auto& p : json::list(config.json, "runtimeConfig", "portMappings")) {
    int host_port = int(json::num(p, "hostPort"));
    if (host_port <= 0) continue;  // runtimes pass every container port; those without a host port mean nothing here
    std::string protocol(json::str(p, "protocol"));
    std::ranges::transform(protocol, protocol.begin(), [](unsigned char c) { return tolower(c); });
    out.ports.push_back({protocol.empty() ? "tcp" : protocol, host_port, int(json::num(p, "containerPort")),
                         std::string(json::str(p, "hostIP"))});
  }
  return out;
}

json::Value result_of(const Config& config, const CniInvocation& in, const PodNetwork& network, const Wired& wired) {
  json::Object ip{{"address", network.address.text()}, {"gateway", network.gateway.text()}, {"interface", 2}};
  if (config.version != "1.0.0") ip["version"] = "4";
  return json::Object{
      {"cniVersion", config.version},
      {"interfaces",
       json::Array{json::Object{{"name", network.bridge}, {"mac", wired.bridge_mac.text()}},
                   json::Object{{"name", wired.host_device}, {"mac", wired.host_mac.text()}},
                   json::Object{{"name", in.ifname}, {"mac", wired.pod_mac.text()}, {"sandbox", in.netns}}}},
      {"ips", json::Array{std::move(ip)}},
      {"routes", json::Array{json::Object{{"dst", "0.0.0.0/0"}, {"gw", network.gateway.text()}}}},
      {"dns", json::Object{}}};
}

Outcome add(const CniInvocation& in, const Config& config) {
  auto answer = call_agent(config.socket, "POST", "/v1/pods", json::dump(to_json(request_of(in, config))));
  if (!answer) return cni_fail(answer.error());
  auto network = pod_network_from(*answer);
  if (!network) return cni_fail(network.error());
  auto wired = wire_pod({in.container_id, in.ifname, in.netns}, *network);
  if (!wired) {
    (void)unwire_pod({in.container_id, in.ifname, in.netns});
    (void)call_agent(config.socket, "DELETE", path_of(in), {});
    return cni_fail(wired.error());
  }
  return json::dump(result_of(config, in, *network, *wired));
}

// The device goes first: an address is free only when nothing answers to it any more.
Outcome del(const CniInvocation& in, const Config& config) {
  if (auto gone = unwire_pod({in.container_id, in.ifname, in.netns}); !gone) return cni_fail(gone.error());
  if (auto released = call_agent(config.socket, "DELETE", path_of(in), {}); !released)
    return cni_fail(released.error());
  return std::string();
}

Outcome check(const CniInvocation& in, const Config& config) {
  if (config.version < "0.4.0") return cni_fail(kCniIncompatibleVersion, "CHECK needs CNI version 0.4.0 or later");
  if (!json::has(config.json, "prevResult")) {
    return cni_fail(kCniInvalidConfig, "CHECK needs prevResult in the network configuration");
  }
  auto answer = call_agent(config.socket, "GET", path_of(in), {});
  if (!answer) return cni_fail(answer.error());
  auto network = pod_network_from(*answer);
  if (!network) return cni_fail(network.error());
  const auto& ips = json::list(config.json, "prevResult", "ips");
  auto same = [&](const auto& ip) { return json::str(ip, "address") == network->address.text(); };
  if (std::ranges::none_of(ips, same)) {
    return cni_fail(kCniWrongState, "prevResult does not name the pod's address " + network->address.text());
  }
  if (auto fine = check_pod({in.container_id, in.ifname, in.netns}, *network); !fine) {
    return cni_fail(kCniWrongState, fine.error().text());
  }
  return std::string();
}

Outcome loopback(const CniInvocation& in, const Config& config) {
  if (in.command == "DEL") return std::string();
  if (auto up = loopback_up(in.netns); !up) return cni_fail(up.error());
  if (in.command == "CHECK") return std::string();
  if (json::has(config.json, "prevResult")) return json::dump(json::at(config.json, "prevResult"));
  json::Object ip{{"address", "127.0.0.1/8"}, {"interface", 0}};
  if (config.version != "1.0.0") ip["version"] = "4";
  return json::dump(json::Object{
      {"cniVersion", config.version},
      {"interfaces", json::Array{json::Object{{"name", "lo"}, {"mac", "00:00:00:00:00:00"}, {"sandbox", in.netns}}}},
      {"ips", json::Array{std::move(ip)}}});
}

Outcome version(const CniInvocation& in) {
  auto config = json::parse(in.config);
  auto asked = config ? std::string(json::str(*config, "cniVersion")) : std::string();
  json::Array supported;
  for (auto v : kVersions) supported.push_back(json::Value(v));
  return json::dump(
      json::Object{{"cniVersion", asked.empty() ? "1.0.0" : asked}, {"supportedVersions", std::move(supported)}});
}

Outcome dispatch(const CniInvocation& in) {
  if (in.command == "VERSION") return version(in);
  if (in.command != "ADD" && in.command != "DEL" && in.command != "CHECK") {
    return cni_fail(kCniInvalidEnvironment, "CNI_COMMAND '" + in.command + "' is unknown",
                    "ADD, DEL, CHECK or VERSION");
  }
  auto config = read_config(in);
  if (!config) return std::unexpected(config.error());
  if (auto bad = check_environment(in)) return std::unexpected(*bad);
  if (in.program == "loopback") return loopback(in, *config);
  if (in.command == "ADD") return add(in, *config);
  return in.command == "DEL" ? del(in, *config) : check(in, *config);
}

}  // namespace

CniOutcome run_cni(const CniInvocation& in) {
  auto outcome = dispatch(in);
  if (outcome) return {0, *outcome};
  auto config = json::parse(in.config);
  auto asked = config ? json::str(*config, "cniVersion") : std::string_view();
  return {1, error_text(outcome.error(), known_version(asked) ? asked : "1.0.0")};
}

bool is_cni_program(const std::string& argv0) {
  auto name = argv0.substr(argv0.rfind('/') + 1);
  return name == "lab-cni" || name == "loopback";
}

int cni_main(const std::string& argv0) {
  auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  CniInvocation in{argv0.substr(argv0.rfind('/') + 1),
                   variable("CNI_COMMAND"),
                   variable("CNI_CONTAINERID"),
                   variable("CNI_NETNS"),
                   variable("CNI_IFNAME"),
                   variable("CNI_ARGS")};
  char buffer[16384];
  for (ssize_t n; (n = ::read(STDIN_FILENO, buffer, sizeof buffer)) > 0;) in.config.append(buffer, std::size_t(n));
  auto outcome = run_cni(in);
  for (std::size_t at = 0; at < outcome.output.size();) {
    ssize_t n = ::write(STDOUT_FILENO, outcome.output.data() + at, outcome.output.size() - at);
    if (n <= 0) return 1;
    at += std::size_t(n);
  }
  return outcome.exit_code;
}

}  // namespace lab::overlay
