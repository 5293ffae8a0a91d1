#include "labs/classroom/model/progress.h"

#include <algorithm>

#include "labs/exercises/session.h"
#include "orchestrator/api/time.h"

namespace lab::classroom {

namespace {

// A check's column: exercise, step, number of the check in its step.
struct Column {
  std::string exercise, step;
  std::size_t step_index = 0, check = 0;
  std::string name() const { return exercise + " " + step + " " + std::to_string(check + 1); }
};

std::vector<Column> columns_of(const std::vector<ProgressRow>& rows) {
  std::vector<Column> out;
  for (const auto& row : rows) {
    if (row.exercise.empty() || std::ranges::any_of(out, [&](const Column& c) { return c.exercise == row.exercise; }))
      continue;
    for (std::size_t i = 0; i < row.matrix.size(); ++i)
      for (std::size_t k = 0; k < row.matrix[i].size(); ++k)
        out.push_back({.exercise = row.exercise, .step = row.step_names[i], .step_index = i, .check = k});
  }
  return out;
}

std::string mark(const ProgressRow& row, const Column& column) {
  if (row.exercise != column.exercise || column.step_index >= row.matrix.size() ||
      column.check >= row.matrix[column.step_index].size())
    return "";
  return row.matrix[column.step_index][column.check] ? "1" : "0";
}

std::string line_of(const std::vector<std::string>& cells) {
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) out += (i ? "," : "") + csv_cell(cells[i]);
  return out + "\r\n";
}

}  // namespace

ProgressRow progress_of(const Student& student, const exercises::Session* session, WallTime now) {
  ProgressRow row{.student = student.name, .title = student.title};
  if (!session) return row;
  row.exercise = session->exercise().name;
  row.step = session->current();
  row.matrix = session->passed();
  row.steps = row.matrix.size();
  for (const auto& step : session->exercise().steps) row.step_names.push_back(step.name);
  for (const auto& step : row.matrix) {
    row.checks += step.size();
    row.passed += static_cast<std::size_t>(std::ranges::count(step, true));
  }
  row.begun = session->begun();
  row.advanced = session->advanced();
  const auto since = api::parse_time(row.advanced.empty() ? row.begun : row.advanced);
  if (since && !session->done())
    row.stuck = std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::seconds>(now - *since).count(), 0);
  return row;
}

std::vector<ProgressRow> progress_of(const Class& one, WallTime now) {
  std::vector<ProgressRow> rows;
  for (const auto& student : one.students) {
    auto session = exercises::Session::load(student.profile);
    rows.push_back(progress_of(student, session ? &*session : nullptr, now));
    if (!session && session.error().code != Code::kNotFound) rows.back().message = session.error().text();
  }
  return rows;
}

json::Object progress_json(const ProgressRow& row) {
  json::Array matrix;
  for (const auto& step : row.matrix) {
    json::Array marks;
    for (const bool b : step) marks.emplace_back(b);
    matrix.push_back(std::move(marks));
  }
  return {{"student", row.student},
          {"title", row.title},
          {"exercise", row.exercise},
          {"step", row.step},
          {"steps", row.steps},
          {"passed", row.passed},
          {"checks", row.checks},
          {"matrix", std::move(matrix)},
          {"begun", row.begun},
          {"advanced", row.advanced},
          {"stuck", row.stuck ? json::Value(*row.stuck) : json::Value(nullptr)},
          {"message", row.message}};
}

json::Value progress_export(const Class& one, const std::vector<ProgressRow>& rows, WallTime now) {
  json::Array students;
  for (const auto& row : rows) {
    auto entry = progress_json(row);
    json::Array names;
    for (const auto& name : row.step_names) names.emplace_back(name);
    entry["stepNames"] = std::move(names);
    students.push_back(std::move(entry));
  }
  return json::Object{{"class", one.name}, {"exported", api::format_time(now)}, {"students", std::move(students)}};
}

std::string csv_cell(const std::string& text) {
  std::string cell = text;
  if (!cell.empty() && std::string_view("=+-@\t\r\n").find(cell.front()) != std::string_view::npos) cell = "'" + cell;
  if (cell.find_first_of("\",\r\n") == std::string::npos) return cell;
  std::string out = "\"";
  for (const char c : cell) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

std::string progress_csv(const std::vector<ProgressRow>& rows) {
  const auto columns = columns_of(rows);
  std::vector<std::string> head{"student",       "name",   "exercise",      "steps done", "steps",
                                "checks passed", "checks", "stuck seconds", "begun",      "last passed"};
  for (const auto& column : columns) head.push_back(column.name());
  std::string out = line_of(head);
  for (const auto& row : rows) {
    std::vector<std::string> cells{row.student,
                                   row.title,
                                   row.exercise,
                                   std::to_string(row.step),
                                   std::to_string(row.steps),
                                   std::to_string(row.passed),
                                   std::to_string(row.checks),
                                   row.stuck ? std::to_string(*row.stuck) : "",
                                   row.begun,
                                   row.advanced};
    for (const auto& column : columns) cells.push_back(mark(row, column));
    out += line_of(cells);
  }
  return out;
}

}  // namespace lab::classroom
