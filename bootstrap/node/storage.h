// A file system fit for container layers: overlayfs cannot stand on overlayfs, so where the labs' directory lies on one
// (inside a container), a sparse ext4 image is made and mounted for the lab.
#pragma once

#include "base/result.h"
#include "bootstrap/node/layout.h"

namespace lab::bootstrap {

Result<void> make_storage(const LabLayout& layout);     // makes base(), mounted if need be; repeatable
Result<void> remove_storage(const LabLayout& layout);   // unmounts, and removes all files of the lab

}  // namespace lab::bootstrap
