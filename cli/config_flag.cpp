#include "cli/config_flag.h"

#include <algorithm>
#include <cstdio>

#include "orchestrator/agent/configuration.h"

namespace lab::cli {

namespace {

// Flags that have a field in a configuration document. The others may stand beside --config.
constexpr std::string_view kHaveFields[] = {
    "apiserver-advertise-address",
    "apiserver-bind-port",
    "apiserver-cert-extra-sans",
    "cert-dir",
    "certificate-key",
    "cleanup-tmp-dir",
    "control-plane",
    "control-plane-endpoint",
    "cri-socket",
    "discovery-file",
    "discovery-token",
    "discovery-token-ca-cert-hash",
    "discovery-token-unsafe-skip-ca-verification",
    "feature-gates",
    "image-repository",
    "key-algorithm",
    "kubernetes-version",
    "patches",
    "pod-network-cidr",
    "service-cidr",
    "service-dns-domain",
    "tls-bootstrap-token",
    "token",
    "token-ttl",
};

}  // namespace

Result<void> check_mixed(const Invocation& in) {
  std::string mixed;
  for (const auto& o : in.options_)
    if (o.present && std::find(std::begin(kHaveFields), std::end(kHaveFields), o.name) != std::end(kHaveFields))
      mixed += (mixed.empty() ? "" : " ") + o.name;
  if (mixed.empty()) return {};
  return fail(Code::kInvalid, "can not mix '--config' with arguments [" + mixed + "]",
              "write them into the file, or leave the file out");
}

Result<void> judge_kubelet(bootstrap::config::File& file) {
  agent::AgentOptions scratch;
  std::vector<std::string> notes;
  LAB_CHECK(agent::apply_configuration(file.document("KubeletConfiguration"), scratch, &notes));
  for (const auto& note : notes) file.warnings.push_back("KubeletConfiguration's " + note);
  return {};
}

void show_warnings(const bootstrap::config::File& file) {
  for (const auto& w : file.warnings) std::fprintf(stderr, "warning: %s\n", w.c_str());
}

}  // namespace lab::cli
