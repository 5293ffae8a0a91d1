#include "join/rotation.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/crypto/digest.h"
#include "base/fs.h"
#include "base/log.h"
#include "orchestrator/client/client.h"

namespace lab::join {

namespace {

using std::chrono::seconds;

constexpr auto kLongestSleep = seconds(60);  // clocks are set, machines sleep: the time is looked at again
constexpr auto kRetry = seconds(10);
constexpr int kFirstPercent = 70, kSpanPercent = 20;

pki::WallTime written_at(const std::string& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0) return {};
  return std::chrono::system_clock::from_time_t(s.st_mtime);
}

// When the certificate in use is to be renewed. Its life counts from when it came here: signers date it back.
Result<pki::WallTime> due(const TlsBootstrapOptions& o) {
  LAB_TRY(auto config, client::load_kubeconfig(o.kubeconfig));
  LAB_TRY(auto info, pki::inspect(config.certificate_pem));
  const std::string current = fs::join(o.pki_directory, "kubelet-client-current.pem");
  const auto came = written_at(fs::exists(current) ? current : o.kubeconfig);
  return rotation_time(std::max(info.not_before, std::min(came, info.not_after)), info.not_after, o.node_name);
}

}  // namespace

pki::WallTime rotation_time(pki::WallTime begin, pki::WallTime end, const std::string& node_name) {
  const std::string digest = crypto::sha256(node_name);
  const int place = static_cast<unsigned char>(digest[0]) * kSpanPercent / 255;
  const auto life = std::chrono::duration_cast<std::chrono::milliseconds>(end - begin);
  return begin + life * (kFirstPercent + place) / 100;
}

void rotate_client_certificate(const TlsBootstrapOptions& options) {
  while (true) {
    const auto now = std::chrono::system_clock::now();
    auto at = due(options);
    if (at && now < *at) {
      const auto left = std::chrono::duration_cast<seconds>(*at - now) + seconds(1);
      std::this_thread::sleep_for(std::min<seconds>(left, kLongestSleep));
      continue;
    }
    auto renewed = at ? renew_client_certificate(options) : Result<void>(std::unexpected(at.error()));
    if (renewed)
      log::info("the node's certificate was renewed", {{"node", options.node_name}});
    else
      log::warn("the node's certificate could not be renewed; it will be tried again",
                {{"why", renewed.error().text()}});
    std::this_thread::sleep_for(renewed ? seconds(1) : kRetry);
  }
}

}  // namespace lab::join
