// A small ISO 9660 (ECMA-119) image with Rock Ridge names (IEEE P1282): a handful of files in one directory.
//
// Written here and not by a tool: it is a page of code, and the machine that makes VMs then needs no genisoimage,
// xorriso or mtools. Rock Ridge, because names such as "user-data" are none in plain ISO 9660, and because keys keep
// their mode.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace lab::join::vm {

struct IsoFile {
  std::string name;     // at most 64 characters of [A-Za-z0-9._-]
  std::string content;  // at most 1 MiB
  unsigned mode = 0444;
};

// The whole image. The label (volume identifier) has at most 32 characters; the same input gives the same bytes.
// kInvalid names the file that does not fit: all entries must find room in one directory sector (about 12 files).
Result<std::string> iso9660_image(const std::string& label, const std::vector<IsoFile>& files);

}  // namespace lab::join::vm
