#include "bootstrap/snapshot/index.h"

#include <algorithm>
#include <charconv>
#include <vector>

namespace lab::bootstrap {

namespace {

constexpr std::string_view kNone = "-";

std::string_view next_word(std::string_view& text) {
  auto end = std::min(text.find(' '), text.size());
  auto word = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

template <class T>
bool read_number(std::string_view text, T& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string encode_index(const Index& index) {
  std::vector<const Index::value_type*> sorted;
  for (const auto& entry : index) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->first < b->first; });
  std::string out;
  for (const auto* entry : sorted) {
    const auto& r = entry->second;
    out += static_cast<char>(r.how);
    out += " " + std::to_string(r.size) + " " + std::to_string(r.mtime) + " ";
    out += (r.digest.empty() ? std::string(kNone) : r.digest) + " " + entry->first + '\0';
  }
  return out;
}

Result<Index> decode_index(std::string_view text) {
  Index out;
  while (!text.empty()) {
    auto end = text.find('\0');
    if (end == std::string_view::npos) return fail(Code::kIo, "the list of files is cut off");
    auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    FileRecord r;
    auto how = next_word(line), size = next_word(line), mtime = next_word(line), digest = next_word(line);
    bool good = how.size() == 1 && std::string_view("crl").find(how[0]) != std::string_view::npos;
    good = good && read_number(size, r.size) && read_number(mtime, r.mtime) && !line.empty();
    if (good && digest != kNone) r.digest = digest;
    if (!good) return fail(Code::kIo, "the list of files is damaged at \"" + std::string(line) + "\"");
    r.how = static_cast<How>(how[0]);
    out.emplace(std::string(line), std::move(r));
  }
  return out;
}

}  // namespace lab::bootstrap
