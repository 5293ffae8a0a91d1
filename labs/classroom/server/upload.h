// Upload: a file from a browser into a node's ~/upload, and nowhere else.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::classroom {

inline constexpr std::size_t kMostUpload = 16 * 1024 * 1024;

// Blocking. The node's home directory is reached by this machine's own view of it, so that no mount the student made in
// the node counts, and below it no link is followed (base/rooted.h). BadRequest: `path` is none that may be used
// ("", "a/../b", "/a"). Invalid: it leads through a link. NotFound: no such lab or node. TooLarge.
Result<void> upload(const std::string& profile, const std::string& node, const std::string& path,
                    std::string_view content);

// Names with single slashes between, none of them "." or "..", without control characters; at most 16 deep.
Result<void> check_upload_path(const std::string& path);

}  // namespace lab::classroom
