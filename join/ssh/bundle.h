// What is copied to a host so that this program runs there: the binary, the shared libraries that it has loaded beyond
// the C library's own, and the share directory. A tar archive (POSIX ustar) in parts, made once and sent to all hosts:
// the images are left out for a host that has imported them already.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lab::join::ssh {

struct Bundle {
  std::string id;                  // SHA-256 of all content, its first 16 digits: the same files make the same id
  std::string program, images;     // members: lab, lib/*, share/** and share/images/*
  std::string lean_end, full_end;  // MANIFEST (as sha256sum writes it) and the archive's end

  std::vector<std::string_view> archive(bool with_images) const;
  std::size_t size(bool with_images) const;
};

struct BundleSource {
  std::string binary;                  // a path
  std::vector<std::string> libraries;  // paths
  std::string share;                   // a directory; may be absent
};
Result<Bundle> make_bundle(const BundleSource& source);
// The shared libraries of this process that a host may lack. Ask before more are loaded.
std::vector<std::string> own_libraries();

}  // namespace lab::join::ssh
