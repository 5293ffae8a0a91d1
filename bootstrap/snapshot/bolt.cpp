#include "bootstrap/snapshot/bolt.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/fs.h"

namespace lab::bootstrap {

namespace {

// All numbers are in the machine's order, as bbolt writes them.
constexpr std::uint32_t kMagic = 0xED0CDAED, kVersion = 2;
constexpr std::uint16_t kBranchPage = 0x01, kLeafPage = 0x02;
constexpr std::uint32_t kBucketLeaf = 0x01;
constexpr std::size_t kPageHeader = 16, kElement = 16, kBucketHeader = 16;

template <class T>
std::optional<T> number(std::string_view bytes, std::size_t at) {
  if (at > bytes.size() || bytes.size() - at < sizeof(T)) return std::nullopt;
  T out;
  std::memcpy(&out, bytes.data() + at, sizeof out);
  return out;
}

std::optional<std::string_view> part(std::string_view bytes, std::size_t at, std::size_t size) {
  if (at > bytes.size() || bytes.size() - at < size) return std::nullopt;
  return bytes.substr(at, size);
}

std::uint64_t fnv1a(std::string_view bytes) {
  std::uint64_t h = 14695981039346656037ull;
  for (unsigned char c : bytes) h = (h ^ c) * 1099511628211ull;
  return h;
}

Failure broken(const std::string& what) {
  return fail(Code::kIo, "not a readable bbolt database: " + what);
}

struct Meta {
  std::uint32_t page_size = 0;
  std::string_view root;  // header of the root bucket
  std::uint64_t transaction = 0;
};

// magic, version, pageSize, flags (4 each), root {pgid, sequence}, freelist, pgid, txid, checksum (8 each).
std::optional<Meta> meta_at(std::string_view file, std::size_t at) {
  auto fields = part(file, at + kPageHeader, 64);
  if (!fields || number<std::uint32_t>(*fields, 0) != kMagic || number<std::uint32_t>(*fields, 4) != kVersion)
    return std::nullopt;
  if (number<std::uint64_t>(*fields, 56) != fnv1a(fields->substr(0, 56))) return std::nullopt;
  return Meta{.page_size = *number<std::uint32_t>(*fields, 8),
              .root = fields->substr(16, 16),
              .transaction = *number<std::uint64_t>(*fields, 48)};
}

// Both meta pages stand at the file's beginning, one page each; the page's size is told by the first intact one.
std::optional<Meta> newest_meta(std::string_view file) {
  auto first = meta_at(file, 0);
  std::optional<Meta> second;
  if (first) {
    second = meta_at(file, first->page_size);
  } else {
    for (std::size_t size = 1024; size <= 65536 && !second; size *= 2) second = meta_at(file, size);
  }
  if (!first || (second && second->transaction > first->transaction)) return second;
  return first;
}

}  // namespace

Result<Bolt> Bolt::read(const std::string& path) {
  LAB_TRY(auto file, fs::read_file(path));
  return Bolt(std::move(file));
}

Result<std::string_view> Bolt::root_bucket() const {
  auto meta = newest_meta(file_);
  if (!meta || meta->page_size < 512) return broken("no meta page is intact");
  return meta->root;
}

Result<std::string_view> Bolt::page(std::uint64_t id) const {
  const auto size = newest_meta(file_)->page_size;
  if (id > file_.size() / size) return broken("page " + std::to_string(id) + " lies behind the end");
  auto header = part(file_, id * size, kPageHeader);
  if (!header) return broken("page " + std::to_string(id) + " lies behind the end");
  const std::size_t pages = *number<std::uint32_t>(*header, 12) + std::size_t(1);  // with its overflow
  const std::size_t length = std::min(pages * size, file_.size() - id * size);
  return std::string_view(file_).substr(id * size, length);
}

// `budget`: pages that may still be visited, so that pages in a circle end.
Result<void> Bolt::walk(std::string_view page, std::size_t& budget, std::vector<Item>& out) const {
  auto flags = number<std::uint16_t>(page, 8), count = number<std::uint16_t>(page, 10);
  if (!flags || !count || budget-- == 0) return broken("a page without a header, or pages in a circle");
  for (std::size_t i = 0; i < *count; ++i) {
    const std::size_t at = kPageHeader + i * kElement;
    if (*flags & kBranchPage) {
      auto child = number<std::uint64_t>(page, at + 8);
      if (!child) return broken("a cut branch page");
      LAB_TRY(auto below, this->page(*child));
      LAB_CHECK(walk(below, budget, out));
      continue;
    }
    if (!(*flags & kLeafPage)) return broken("a page that is neither branch nor leaf");
    auto element = part(page, at, kElement);
    if (!element) return broken("a cut leaf page");
    const std::size_t data = at + *number<std::uint32_t>(*element, 4);
    const std::size_t key_size = *number<std::uint32_t>(*element, 8), value_size = *number<std::uint32_t>(*element, 12);
    auto key = part(page, data, key_size), value = part(page, data + key_size, value_size);
    if (!key || !value) return broken("a cut entry");
    out.push_back({*key, *value, (*number<std::uint32_t>(*element, 0) & kBucketLeaf) != 0});
  }
  return {};
}

// A small bucket lies inline, behind its header: then its root page is 0.
Result<std::vector<Bolt::Item>> Bolt::items_of(std::string_view header) const {
  auto root = number<std::uint64_t>(header, 0);
  if (!root || header.size() < kBucketHeader) return broken("a cut bucket");
  std::vector<Item> out;
  std::size_t budget = file_.size() / newest_meta(file_)->page_size + 1;
  if (*root == 0) {
    LAB_CHECK(walk(header.substr(kBucketHeader), budget, out));
  } else {
    LAB_TRY(auto first, page(*root));
    LAB_CHECK(walk(first, budget, out));
  }
  return out;
}

Result<std::vector<Bolt::Item>> Bolt::items(const std::vector<std::string>& bucket) const {
  LAB_TRY(auto header, root_bucket());
  LAB_TRY(auto here, items_of(header));
  for (const auto& name : bucket) {
    auto found = std::find_if(here.begin(), here.end(), [&](const Item& i) { return i.bucket && i.key == name; });
    if (found == here.end()) return fail(Code::kNotFound, "there is no bucket " + name);
    header = found->value;
    LAB_TRY(here, items_of(header));
  }
  return here;
}

}  // namespace lab::bootstrap
