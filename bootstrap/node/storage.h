// A file system fit for container layers: overlayfs cannot stand on overlayfs, so where the labs' directory lies on one
// (inside a container), and where the lab has a limit, a sparse ext4 image is made and mounted for the lab.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "bootstrap/node/layout.h"

namespace lab::bootstrap {

// Makes base(), mounted if need be; repeatable. `limit_bytes`, when it is not 0, is the size of the lab's own file
// system, in an image: a lab that has files without one cannot have it any more, and an image grows but does not shrink
// (kInvalid).
Result<void> make_storage(const LabLayout& layout, std::uint64_t limit_bytes = 0);
// What the lab's own file system holds, and its size; zeros where it has none.
struct StorageUse {
  std::uint64_t used_bytes = 0, size_bytes = 0;
};
StorageUse storage_use(const LabLayout& layout);
// What a lab may still write: the less of what its file system has free and, where that is an image, what the file
// system below it has free, since an image takes space only as it is written.
Result<std::uint64_t> storage_free(const LabLayout& layout);
// Gives the space of removed files back to the file system below an image. Nothing elsewhere; never an error.
void trim_storage(const LabLayout& layout);
Result<void> remove_storage(const LabLayout& layout);  // unmounts, and removes all files of the lab

}  // namespace lab::bootstrap
