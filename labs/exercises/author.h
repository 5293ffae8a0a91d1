// For people who write exercises: what can be said of one without a lab, a skeleton, and the proof that it works.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "labs/exercises/exercise.h"

namespace lab::exercises {

// What is wrong beyond exercise.yaml: a text that is missing, a language that lacks one, commands that differ between
// languages, a check without words in a language.
std::vector<std::string> lint(const Exercise& exercise);

// The blocks ```run [NODE] of a Markdown text, each with its info line.
std::vector<std::string> commands_in(const std::string& markdown);

// Writes a folder with one step that works as it is. AlreadyExists when the folder is there.
Result<void> write_skeleton(const std::string& directory);

// Runs the exercise by its own solutions in a lab of that name, which is deleted in the end. Every check of a step must
// be red before its solution and green after it; `say` hears how it goes.
Result<void> prove(const Exercise& exercise, const std::string& profile,
                   const std::function<void(const std::string&)>& say);

}  // namespace lab::exercises
