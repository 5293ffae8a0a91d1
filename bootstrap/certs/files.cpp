#include "bootstrap/certs/files.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "orchestrator/client/client.h"

namespace lab::bootstrap::certs {

Result<void> replace_file(const std::string& path, const std::string& content, unsigned mode) {
  struct stat before{};
  if (::stat(path.c_str(), &before) != 0) return fs::write_file(path, content, mode);
  LAB_CHECK(fs::write_file(path, content, before.st_mode & 07777));
  if (::chown(path.c_str(), before.st_uid, before.st_gid) != 0)
    return fail_errno("give " + path + " back to its owner");
  return {};
}

std::string certificate_path(const Row& row, const Places& places) {
  return row.kubeconfig ? fs::join(places.kubernetes, row.path) : fs::join(places.pki, row.path + ".crt");
}

Result<std::string> certificate_of(const Row& row, const Places& places) {
  const std::string path = certificate_path(row, places);
  if (!row.kubeconfig) return fs::read_file(path);
  LAB_TRY(auto config, client::load_kubeconfig(path));
  return config.certificate_pem;
}

}  // namespace lab::bootstrap::certs
