// Bolt: reads of a bbolt database, the format in which containerd keeps its records (go.etcd.io/bbolt, page.go, db.go).
//
// The file is read whole, so it must be small (records, not contents) and nobody may write it meanwhile. Of its two
// meta pages the newest intact one counts, as for bbolt after a crash. Whatever does not fit is an error, never a
// crash.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lab::bootstrap {

class Bolt {
 public:
  struct Item {
    std::string_view key, value;  // into the database; a bucket's value is its header
    bool bucket = false;
  };

  static Result<Bolt> read(const std::string& path);
  explicit Bolt(std::string file) : file_(std::move(file)) {}

  // What the bucket of this path holds, by key. NotFound where there is none.
  Result<std::vector<Item>> items(const std::vector<std::string>& bucket) const;

 private:
  Result<std::string_view> root_bucket() const;
  Result<std::vector<Item>> items_of(std::string_view bucket_header) const;
  Result<void> walk(std::string_view page, std::size_t& budget, std::vector<Item>& out) const;
  Result<std::string_view> page(std::uint64_t id) const;

  std::string file_;
};

}  // namespace lab::bootstrap
