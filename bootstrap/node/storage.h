// A file system fit for container layers: overlayfs cannot stand on overlayfs, so where the labs' directory lies on one
// (inside a container), a sparse ext4 image is made and mounted for the lab.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "bootstrap/node/layout.h"

namespace lab::bootstrap {

Result<void> make_storage(const LabLayout& layout);     // makes base(), mounted if need be; repeatable
// What a lab may still write: the less of what its file system has free and, where that is an image, what the file system
// below it has free, since an image takes space only as it is written.
Result<std::uint64_t> storage_free(const LabLayout& layout);
// Gives the space of removed files back to the file system below an image. Nothing elsewhere; never an error.
void trim_storage(const LabLayout& layout);
Result<void> remove_storage(const LabLayout& layout);   // unmounts, and removes all files of the lab

}  // namespace lab::bootstrap
