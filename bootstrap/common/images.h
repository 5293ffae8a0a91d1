// The images that come with this installation, and bringing them into a machine's container runtime.
#pragma once

#include <string>
#include <vector>

#include "bootstrap/common/runtime.h"

namespace lab::bootstrap {

// Written where they have been imported, so that it is done once.
inline constexpr const char* kImagesMark = "/var/lib/lab/local/images";

// Where they will be unpacked, for looking at the space there; empty where they are already, or nothing is known of it.
std::string image_destination(const std::string& socket);
Result<std::vector<std::string>> bundled_images();    // archives
// Imports them and gives the bundled pause the name under which the runtime looks for it. Through `ctr`: another
// runtime than containerd is left as it is, and pulls what it needs.
Result<void> import_bundled_images(const std::string& socket, const RuntimeSettings& settings);

}  // namespace lab::bootstrap
