// Index: what a copied tree's regular files must be, by their paths below it. Kept beside the copy, so that damage is
// found before it is used.
//
// Text form, one record a file, each ended by a zero byte: "HOW SIZE MTIME DIGEST PATH", MTIME in nanoseconds, DIGEST a
// SHA-256 in hexadecimal or "-".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

namespace lab::bootstrap {

enum class How : char {
  kCopied = 'c',  // bytes of its own; known by their digest
  kCloned = 'r',  // shares blocks until one side is written (reflink); known by size and time
  kLinked = 'l',  // the same file, which nobody writes; known by size and time
};

struct FileRecord {
  How how = How::kCopied;
  std::uint64_t size = 0;
  std::int64_t mtime = 0;
  std::string digest;  // hexadecimal; empty unless copied
};
using Index = std::unordered_map<std::string, FileRecord>;

std::string encode_index(const Index& index);
Result<Index> decode_index(std::string_view text);

}  // namespace lab::bootstrap
