#include "labs/exercises/markdown.h"

#include <sstream>

namespace lab::exercises {

namespace {

constexpr const char *kBold = "\033[1m", *kCommand = "\033[36m", *kPlain = "\033[0m";

// `words` and **words** within a line.
std::string inline_marks(const std::string& line, bool colour) {
  std::string out;
  bool code = false, bold = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '`') {
      code = !code;
      if (colour) out += code ? kCommand : kPlain;
    } else if (!code && line.compare(i, 2, "**") == 0) {
      bold = !bold;
      ++i;
      if (colour) out += bold ? kBold : kPlain;
    } else {
      out += line[i];
    }
  }
  return out;
}

}  // namespace

std::string for_terminal(const std::string& markdown, bool colour) {
  const std::string bold = colour ? kBold : "", command = colour ? kCommand : "", plain = colour ? kPlain : "";
  std::istringstream in(markdown);
  std::string line, out;
  bool block = false;
  while (std::getline(in, line)) {
    if (line.starts_with("```")) {
      // "```run node2" names where; the first node goes without saying.
      const std::string where = line.starts_with("```run ") ? line.substr(7) : "";
      if (!block && !where.empty() && where != "node1") out += "    " + bold + where + ":" + plain + "\n";
      block = !block;
    } else if (block) {
      out += "    " + command + line + plain + "\n";
    } else if (line.starts_with("#")) {
      out += bold + line.substr(line.find_first_not_of("# ") == std::string::npos ? 0 : line.find_first_not_of("# ")) +
             plain + "\n";
    } else {
      out += inline_marks(line, colour) + "\n";
    }
  }
  return out;
}

}  // namespace lab::exercises
