#include "join/ssh/shell.h"

#include <algorithm>
#include <cctype>

namespace lab::join::ssh {

namespace {

bool is_plain(std::string_view word) {
  return !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) ||
           (c != 0 && std::string_view("@%+=:,./_-").find(static_cast<char>(c)) != std::string_view::npos);
  });
}

}  // namespace

std::string shell_quote(std::string_view word) {
  if (is_plain(word)) return std::string(word);
  std::string out = "'";
  for (char c : word) {
    if (c == '\'')
      out += "'\\''";
    else if (c != '\0')
      out += c;
  }
  return out + "'";
}

std::string shell_words(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& w : words) out += (out.empty() ? "" : " ") + shell_quote(w);
  return out;
}

std::string shell_command(std::string_view script, const std::vector<std::string>& arguments, bool sudo) {
  // The login shell of the user may be any: it only has to start sh with quoted words.
  std::vector<std::string> words;
  if (sudo) words = {"sudo", "-n", "--"};
  words.insert(words.end(), {"sh", "-c", std::string(script), "lab-join"});
  words.insert(words.end(), arguments.begin(), arguments.end());
  return shell_words(words) + " 2>&1";
}

}  // namespace lab::join::ssh
