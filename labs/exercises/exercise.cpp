#include "labs/exercises/exercise.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <regex>

#include "base/fs.h"
#include "base/yaml/fields.h"
#include "bootstrap/common/runtime.h"
#include "orchestrator/api/kind.h"

namespace lab::exercises {

namespace {

using yaml::Fields;

Text text_of(Fields fields) {
  Text out;
  if (fields.value().is_string()) {
    out.by_language["en"] = json::as_str(fields.value());
    return out;
  }
  for (const auto& [language, text] : json::as_object(fields.value()))
    out.by_language[std::string(language)] = json::as_str(text);
  return out;
}

std::string pattern(Fields& fields, const std::string& key) {
  const auto text = fields.text(key);
  try {
    std::regex compiled(text);
  } catch (const std::regex_error& e) {
    fields.complain(key, std::string("is no regular expression: ") + e.what());
  }
  return text;
}

std::vector<Script> scripts(Fields& parent, const std::string& key) {
  std::vector<Script> out;
  for (auto& f : parent.list(key)) {
    f.require("run");
    out.push_back({.node = f.text("node", "node1"), .run = f.text("run"), .keep = f.text("keep")});
    f.no_others();
  }
  return out;
}

Where where_of(Fields& f) {
  f.require("path");
  Where out{.path = f.text("path"),
            .is = f.any_text("is"),
            .at_least = f.real("at-least"),
            .at_most = f.real("at-most"),
            .exists = f.flag("exists")};
  if (f.has("matches")) out.matches = pattern(f, "matches");
  f.no_others();
  return out;
}

ObjectCheck object_of(Fields& f) {
  f.require("kind");
  f.require("apiVersion");
  ObjectCheck out{.api_version = f.text("apiVersion"),
                  .kind = f.text("kind"),
                  .name_space = f.text("namespace", "default"),
                  .name = f.text("name"),
                  .selector = f.text("selector")};
  if (!out.kind.empty() && !api::find_kind_by_name(out.api_version, out.kind))
    f.complain("kind", "\"" + out.kind + "\" is not served in " + out.api_version);
  for (auto& w : f.list("where")) out.where.push_back(where_of(w));
  if (f.has("condition"))
    out.where.push_back(
        {.path = ".status.conditions[?(@.type==\"" + f.text("condition") + "\")].status", .is = "True"});
  out.at_least = f.number("at-least", 1);
  if (f.has("exactly")) out.exactly = f.number("exactly", 0);
  if (f.has("spread")) {
    auto s = f.map("spread");
    s.require("path");
    out.spread_path = s.text("path");
    out.spread = s.number("at-least", 2);
    s.no_others();
  }
  f.no_others();
  return out;
}

Check check_of(Fields& f) {
  f.require("say");
  Check out{.say = text_of(f.map("say"))};
  const int given = f.has("object") + f.has("http") + f.has("command");
  if (given != 1) f.complain("", "must have one of object, http and command");
  if (f.has("object")) {
    auto o = f.map("object");
    out.object = object_of(o);
  }
  if (f.has("http")) {
    auto h = f.map("http");
    h.require("url");
    out.http = HttpCheck{
        .url = h.text("url"), .status = static_cast<int>(h.number("status", 200)), .matches = pattern(h, "matches")};
    h.no_others();
  }
  if (f.has("command")) {
    auto c = f.map("command");
    c.require("run");
    out.command = CommandCheck{.node = c.text("node", "node1"),
                               .run = c.text("run"),
                               .exit_code = static_cast<int>(c.number("exit", 0)),
                               .matches = pattern(c, "matches")};
    c.no_others();
  }
  f.no_others();
  return out;
}

Step step_of(Fields& f) {
  f.require("name");
  Step out{.name = f.text("name"), .hint = text_of(f.map("hint")), .solve = scripts(f, "solve")};
  for (auto& c : f.list("checks")) out.checks.push_back(check_of(c));
  if (out.checks.empty()) f.complain("", "needs at least one check");
  if (out.solve.empty()) f.complain("", "needs a solution (solve)");
  f.no_others();
  return out;
}

bool is_directory(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

// "4" and "scaling" both mean "04-scaling".
bool means(const std::string& which, const std::string& name) {
  if (which == name) return true;
  const auto dash = name.find('-');
  if (dash == std::string::npos) return false;
  if (which == name.substr(dash + 1)) return true;
  const bool number = !which.empty() && std::ranges::all_of(which, [](unsigned char c) { return std::isdigit(c); });
  return number && std::atoi(which.c_str()) == std::atoi(name.c_str());
}

}  // namespace

const std::string& Text::in(const std::string& language) const {
  static const std::string none;
  if (auto it = by_language.find(language); it != by_language.end()) return it->second;
  if (auto it = by_language.find("en"); it != by_language.end()) return it->second;
  return by_language.empty() ? none : by_language.begin()->second;
}

std::vector<std::string> Exercise::languages() const {
  std::vector<std::string> out;
  for (const auto& name : fs::list_dir(directory).value_or(std::vector<std::string>()))
    if (name.size() == 2 && is_directory(fs::join(directory, name))) out.push_back(name);
  return out;
}

Result<std::string> Exercise::text(const Step& step, const std::string& language) const {
  for (const auto& l : {language, std::string("en")})
    if (const auto path = fs::join(directory, l + "/" + step.name + ".md"); fs::exists(path))
      return fs::read_file(path);
  return fail(Code::kNotFound, "exercise " + name + " has no text for its step " + step.name,
              "write " + fs::join(directory, "en/" + step.name + ".md"));
}

Result<Exercise> load_exercise(const std::string& directory) {
  const std::string path = fs::join(directory, "exercise.yaml");
  LAB_TRY(auto text, fs::read_file(path));
  auto documents = yaml::parse_located(text);
  if (!documents) return std::unexpected(std::move(documents).error().with_context(path));
  if (documents->size() != 1) return fail(Code::kInvalid, path + " must hold one YAML document");
  std::vector<std::string> problems;
  Fields f((*documents)[0], problems);
  for (const char* key : {"title", "steps"}) f.require(key);
  std::string trimmed = directory;
  while (trimmed.size() > 1 && trimmed.ends_with('/')) trimmed.pop_back();
  Exercise out{.name = trimmed.substr(trimmed.rfind('/') + 1),
               .directory = trimmed,
               .title = text_of(f.map("title")),
               .minutes = static_cast<int>(f.number("minutes", 0)),
               .nodes = static_cast<int>(f.number("nodes", 3)),
               .cluster = f.flag("cluster").value_or(true),
               .setup = scripts(f, "setup")};
  if (out.nodes < 1) f.complain("nodes", "must be at least 1");
  for (auto& s : f.list("steps")) out.steps.push_back(step_of(s));
  f.no_others();
  if (problems.empty()) return out;
  std::string all;
  for (const auto& p : problems) all += "\n  " + p;
  return fail(Code::kInvalid, path + " has mistakes:" + all);
}

Result<std::vector<Exercise>> course() {
  const std::string home = fs::join(bootstrap::bundle_directory(), "exercises");
  LAB_TRY(auto names, fs::list_dir(home));
  std::vector<Exercise> out;
  for (const auto& name : names) {
    if (!fs::exists(fs::join(home, name + "/exercise.yaml"))) continue;
    LAB_TRY(auto one, load_exercise(fs::join(home, name)));
    out.push_back(std::move(one));
  }
  return out;
}

Result<Exercise> find_exercise(const std::string& which) {
  if (which.find('/') != std::string::npos || fs::exists(fs::join(which, "exercise.yaml"))) return load_exercise(which);
  LAB_TRY(auto all, course());
  std::string names;
  for (auto& e : all) {
    if (means(which, e.name)) return std::move(e);
    names += (names.empty() ? "" : ", ") + e.name;
  }
  return fail(Code::kNotFound, "there is no exercise \"" + which + "\"", "those that exist: " + names);
}

}  // namespace lab::exercises
