#include "join/pod_tokens.h"

#include <algorithm>
#include <filesystem>

#include "base/fs.h"
#include "pki/jwt.h"

namespace lab::join {

namespace stdfs = std::filesystem;

namespace {

constexpr std::uintmax_t kLargestToken = 64 << 10;

// Only what names a pod is a token that agents write: users keep tokens of other places in Secrets.
void take(const stdfs::path& file, TokenKeys& out) {
  std::error_code ec;
  if (stdfs::file_size(file, ec) > kLargestToken || ec) return;
  const auto text = fs::read_file(file.string()).value_or("");
  if (std::ranges::count(text, '.') != 2) return;
  const auto key = pki::token_key_id(text);
  auto claims = pki::peek_jwt(text);
  if (key.empty() || !claims || !json::has(*claims, "kubernetes.io", "pod")) return;
  out[key].insert(std::string(json::str(*claims, "kubernetes.io", "namespace")) + "/" +
                  std::string(json::str(*claims, "kubernetes.io", "pod", "name")));
}

}  // namespace

TokenKeys pod_token_keys(const std::string& pods_directory) {
  TokenKeys out;
  for (const auto& uid : fs::list_dir(pods_directory).value_or(std::vector<std::string>())) {
    const std::string projected = fs::join(fs::join(pods_directory, uid), "volumes/kubernetes.io~projected");
    for (const auto& volume : fs::list_dir(projected).value_or(std::vector<std::string>())) {
      // ..data leads to the files that count (orchestrator/agent/volumes/atomic_writer.h).
      std::error_code ec;
      const auto data = stdfs::canonical(fs::join(fs::join(projected, volume), "..data"), ec);
      if (ec) continue;
      for (stdfs::recursive_directory_iterator it(data, ec), end; !ec && it != end; it.increment(ec)) {
        std::error_code failed;
        if (it->is_regular_file(failed)) take(it->path(), out);
      }
    }
  }
  return out;
}

}  // namespace lab::join
