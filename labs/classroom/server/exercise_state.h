// An exercise as the student's page shows it.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "labs/exercises/session.h"

namespace lab::classroom {

// The texts of an exercise's steps, read once. A text that is missing says so in its place.
std::vector<std::string> texts_of(const exercises::Session& session);
// The part "exercise" of a student's state. `trouble`: why the present step could not be looked at, if so; shown in its
// checks.
json::Value exercise_state(const exercises::Session& session, const std::vector<std::string>& texts,
                           const exercises::Seen& trouble = {});
// Of a session whose exercise cannot be read any more: its name and the reason, and no steps.
json::Value broken_exercise(const std::string& name, const std::string& error);

}  // namespace lab::classroom
