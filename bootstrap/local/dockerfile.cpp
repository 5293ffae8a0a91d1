// What a build needs to know of a Dockerfile before it runs: the images it is made of.
#include <algorithm>
#include <map>
#include <sstream>

#include "bootstrap/local/image_build.h"

namespace lab::bootstrap {

namespace {

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// Instructions: comments and blank lines left out, continued lines joined.
std::vector<std::vector<std::string>> instructions(const std::string& text) {
  std::vector<std::vector<std::string>> out;
  std::istringstream in(text);
  std::string whole;
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    auto first = line.find_first_not_of(" \t");
    if (first == std::string::npos || line[first] == '#') continue;
    bool goes_on = line.ends_with('\\');
    whole += line.substr(0, line.size() - (goes_on ? 1 : 0)) + " ";
    if (goes_on) continue;
    std::istringstream words(std::exchange(whole, {}));
    std::vector<std::string> instruction;
    for (std::string word; words >> word;) instruction.push_back(word);
    if (!instruction.empty()) out.push_back(std::move(instruction));
  }
  return out;
}

using Variables = std::map<std::string, std::string>;

void set_variable(Variables& to, const std::string& assignment, bool replace) {
  auto equals = assignment.find('=');
  if (equals == std::string::npos) return;
  auto value = assignment.substr(equals + 1);
  if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
    value = value.substr(1, value.size() - 2);
  if (replace || !to.contains(assignment.substr(0, equals))) to[assignment.substr(0, equals)] = value;
}

// $NAME and ${NAME}
std::string filled_in(const std::string& text, const Variables& variables) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$') {
      out += text[i];
      continue;
    }
    bool braces = i + 1 < text.size() && text[i + 1] == '{';
    std::size_t begin = i + (braces ? 2 : 1), end = begin;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_')) ++end;
    auto it = variables.find(text.substr(begin, end - begin));
    if (it != variables.end()) out += it->second;
    i = end - (braces && end < text.size() && text[end] == '}' ? 0 : 1);
  }
  return out;
}

bool is_number(const std::string& text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c); });
}

}  // namespace

std::string full_image_name(const std::string& name) {
  std::string out = name;
  auto slash = out.find('/');
  auto host = slash == std::string::npos ? std::string() : out.substr(0, slash);
  bool has_host = host.find_first_of(".:") != std::string::npos || host == "localhost";
  if (slash == std::string::npos)
    out = "docker.io/library/" + out;
  else if (!has_host)
    out = "docker.io/" + out;
  bool has_tag = out.find('@') != std::string::npos || out.find(':', out.rfind('/')) != std::string::npos;
  return has_tag ? out : out + ":latest";
}

Result<std::vector<std::string>> base_images(const std::string& dockerfile,
                                             const std::vector<std::string>& build_args) {
  Variables variables;
  for (const auto& a : build_args) set_variable(variables, a, true);
  std::vector<std::string> out, stages;
  bool begun = false;
  auto need = [&](const std::string& image) {
    bool own = image == "scratch" || is_number(image) || std::ranges::find(stages, image) != stages.end();
    if (!own && std::ranges::find(out, image) == out.end()) out.push_back(image);
  };
  for (const auto& words : instructions(dockerfile)) {
    const std::string verb = upper(words[0]);
    std::vector<std::string> plain;
    std::string copied_from;
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (!words[i].starts_with("--")) plain.push_back(words[i]);
      if (words[i].starts_with("--from=")) copied_from = words[i].substr(7);
    }
    if (verb == "ARG" && !begun) {
      for (const auto& a : plain) set_variable(variables, a, false);
    } else if (verb == "FROM") {
      if (plain.empty()) return fail(Code::kInvalid, "a FROM line of the Dockerfile names no image");
      begun = true;
      need(filled_in(plain[0], variables));
      if (plain.size() >= 3 && upper(plain[1]) == "AS") stages.push_back(plain[2]);
    } else if ((verb == "COPY" || verb == "ADD") && !copied_from.empty()) {
      need(filled_in(copied_from, variables));
    }
  }
  if (!begun)
    return fail(Code::kInvalid, "the Dockerfile has no FROM line", "begin it with: FROM scratch, or FROM busybox");
  return out;
}

}  // namespace lab::bootstrap
