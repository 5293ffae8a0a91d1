#include "labs/classroom/model/names.h"

#include <cstdint>
#include <map>
#include <optional>
#include <sstream>

namespace lab::classroom {

namespace {

constexpr std::size_t kLongestTitle = 80;  // characters

// The code points of UTF-8 (RFC 3629); nothing when the bytes are none.
std::optional<std::u32string> decoded(const std::string& text) {
  std::u32string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const int more = lead < 0x80 ? 0 : lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || text.size() - i <= static_cast<std::size_t>(more))
      return std::nullopt;
    char32_t point = more == 0 ? lead : lead & (0x3f >> more);
    for (int k = 1; k <= more; ++k) {
      const auto next = static_cast<unsigned char>(text[i + static_cast<std::size_t>(k)]);
      if ((next & 0xc0) != 0x80) return std::nullopt;
      point = (point << 6) | (next & 0x3f);
    }
    constexpr char32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return std::nullopt;
    out += point;
    i += static_cast<std::size_t>(more) + 1;
  }
  return out;
}

// Marks by which one name could look like another one (Unicode Standard Annex 9).
bool turns_direction(char32_t c) {
  return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f;
}

std::string wrong_with(const std::string& name) {
  const auto points = decoded(name);
  if (!points) return "is no UTF-8 text; save the file as UTF-8";
  if (points->size() > kLongestTitle) return "is longer than " + std::to_string(kLongestTitle) + " characters";
  for (const char32_t c : *points)
    if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xfffe || c == 0x2028 || c == 0x2029 || turns_direction(c))
      return "holds a character that is no text";
  return {};
}

std::string trimmed(const std::string& line) {
  const auto first = line.find_first_not_of(" \t\r");
  if (first == std::string::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

}  // namespace

Result<std::vector<std::string>> parse_names(const std::string& text) {
  std::vector<std::string> out;
  std::map<std::string, int> lines;
  std::string wrong;
  std::istringstream in(text.starts_with("\xef\xbb\xbf") ? text.substr(3) : text);
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    std::string name = trimmed(line);
    if (name.empty()) continue;
    std::string problem = wrong_with(name);
    if (auto before = lines.find(name); problem.empty() && before != lines.end())
      problem = "(\"" + name + "\") is there already, in line " + std::to_string(before->second);
    if (!problem.empty()) wrong += (wrong.empty() ? "" : "\n") + ("line " + std::to_string(number) + " " + problem);
    lines.emplace(name, number);
    out.push_back(std::move(name));
  }
  if (wrong.empty() && out.empty()) wrong = "it holds no name";
  if (!wrong.empty()) return fail(Code::kInvalid, "the file of names: " + wrong, "one name a line");
  return out;
}

}  // namespace lab::classroom
