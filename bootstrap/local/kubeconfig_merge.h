// Merging a lab's context into the calling user's kubeconfig, and taking it out again.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::bootstrap {

struct UserFile {
  std::string path;             // $KUBECONFIG's first file, or ~/.kube/config of $SUDO_USER or the caller
  unsigned uid = 0, gid = 0;    // who shall own it
};
UserFile user_kubeconfig();

// Adds or replaces the cluster, user and context called `name`, and makes it the current one. Everything else in the
// file stays. A file that cannot be parsed is left alone: Invalid. Says whether the file was made. Other labs and kubectl
// config are waited for; kConflict when kubectl's lock (FILE.lock) does not go away.
Result<bool> merge_context(const UserFile& file, const std::string& name, const std::string& admin_kubeconfig);
// Takes them out, and makes the context current again that was so before; with `remove_if_empty` a file that then holds
// nothing is removed.
Result<void> remove_context(const std::string& path, const std::string& name, bool remove_if_empty);

}  // namespace lab::bootstrap
