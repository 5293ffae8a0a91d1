// An exercise: what it is made of, as its folder says.
//
//   exercise.yaml      title, nodes, the start state, and the steps with their checks, hints and solutions
//   en/STEP.md         what a step tells the student, one folder per language
//   files/             optional; copied to ~/exercise of node1 at the start
//
// Texts for people are mappings from language to text. Commands in the Markdown stand in blocks that open with
// ```run or ```run NODE: a page makes them clickable, and `lint` compares them between the languages.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::exercises {

// By language: "en", "es".
struct Text {
  std::map<std::string, std::string> by_language;
  // In that language, in English where it is missing, else in any.
  const std::string& in(const std::string& language) const;
};

// A condition on one value of an object; all that are given must hold.
struct Where {
  std::string path;                    // orchestrator/api/json_path.h
  std::optional<std::string> is;       // as text: "3", "true", "Running"
  std::optional<std::string> matches;  // ECMAScript regular expression, found anywhere
  std::optional<double> at_least, at_most;
  std::optional<bool> exists;
};

// Objects of the cluster: those of a kind, with this name or these labels, that satisfy every `where`.
struct ObjectCheck {
  std::string api_version, kind;
  std::string name_space = "default";  // "*": all
  std::string name, selector;          // both empty: every object of the kind
  std::vector<Where> where;
  std::int64_t at_least = 1;            // so many must satisfy it
  std::optional<std::int64_t> exactly;  // 0: none may
  std::string spread_path;              // so many different values there ...
  std::int64_t spread = 0;              // ... among them; 0: not asked
};
struct HttpCheck {
  std::string url;  // $node1 stands for that node's address
  int status = 200;
  std::string matches;
};
struct CommandCheck {
  std::string node = "node1";
  std::string run;  // a shell script; must change nothing
  int exit_code = 0;
  std::string matches;  // in its output
};

struct Check {
  Text say;                           // "Three pods of web are ready"
  std::optional<ObjectCheck> object;  // one of the three
  std::optional<HttpCheck> http;
  std::optional<CommandCheck> command;
};

struct Script {
  std::string node = "node1";
  std::string run;
  std::string keep;  // a variable that the scripts after it find its output in; empty: none
};

struct Step {
  std::string name;  // the stem of its Markdown files
  std::vector<Check> checks;
  Text hint;
  std::vector<Script> solve;
};

struct Exercise {
  std::string name;  // the folder's: "04-scaling"
  std::string directory;
  Text title;
  int minutes = 0;
  int nodes = 3;
  bool cluster = true;  // false: empty nodes
  std::vector<Script> setup;
  std::vector<Step> steps;

  // "en/create.md"; NotFound when the folder has it in no language.
  Result<std::string> text(const Step& step, const std::string& language) const;
  std::vector<std::string> languages() const;  // that have a folder
};

// Invalid with every mistake of exercise.yaml, each with its line and column.
Result<Exercise> load_exercise(const std::string& directory);

// The bundled course and the folders beside it, by name. `which` may be a folder's path, its name, or the number or
// word that its name holds ("4", "scaling"). NotFound lists what there is.
Result<std::vector<Exercise>> course();
Result<Exercise> find_exercise(const std::string& which);

}  // namespace lab::exercises
