// How far the students of a class are: one row a student, one mark a check, from their exercise sessions on disk.
// Thread-safe; progress of a class reads files.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "labs/classroom/model/class.h"

namespace lab::exercises {
class Session;
}

namespace lab::classroom {

struct ProgressRow {
  std::string student, title;
  std::string exercise;  // empty: none begun
  std::size_t step = 0;  // index of the step in hand, which is the number of steps done
  std::size_t steps = 0;
  std::size_t passed = 0, checks = 0;
  std::vector<std::string> step_names;
  std::vector<std::vector<bool>> matrix;  // by step, its checks
  std::string begun, advanced;            // RFC 3339; empty: not yet
  std::optional<std::int64_t> stuck;      // seconds without a new green check; none before the start and at the end
  std::string message;                    // why nothing can be said
};

using WallTime = std::chrono::system_clock::time_point;

// `session` null: none was begun.
ProgressRow progress_of(const Student& student, const exercises::Session* session, WallTime now);
std::vector<ProgressRow> progress_of(const Class& one, WallTime now);

// The fields of a row in docs/classroom-api.md that come from the exercise.
json::Object progress_json(const ProgressRow& row);
json::Value progress_export(const Class& one, const std::vector<ProgressRow>& rows, WallTime now);

// RFC 4180, with a header line; one column for each check of each exercise that somebody is at. A cell that a
// spreadsheet would take for a formula begins with an apostrophe (OWASP, "CSV Injection").
std::string progress_csv(const std::vector<ProgressRow>& rows);
std::string csv_cell(const std::string& text);

}  // namespace lab::classroom
