// lab class: classes of students on this machine, for teachers.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/fs.h"
#include "bootstrap/common/progress.h"
#include "cli/class_create.h"
#include "cli/confirm.h"
#include "cli/duration.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "labs/classroom/model/cards.h"
#include "labs/classroom/model/class_end.h"
#include "labs/classroom/model/progress.h"
#include "labs/classroom/model/student_lab.h"
#include "orchestrator/api/time.h"

namespace lab::cli {

namespace {

using classroom::Class;

constexpr auto kRedraw = std::chrono::seconds(2);

const Argument kName{"NAME", "the class"};
const Argument kStudents{"STUDENT", "by name, as in student07; default: all", false, true};

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// A column: as many characters as people see, not bytes.
std::string padded(std::string text, std::size_t width) {
  const auto seen = static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
  return seen < width ? text + std::string(width - seen, ' ') : text;
}

std::string left_of(const Class& one) {
  const auto ends = api::parse_time(one.ends);
  if (!ends) return "when deleted";
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(*ends - std::chrono::system_clock::now());
  return left.count() <= 0 ? "over" : "in " + api::human_duration(left);
}

std::string state_of(const Class& one) {
  return one.ending ? "ending" : classroom::is_over(one) ? "ended" : one.paused ? "paused" : "open";
}

// Those that were named, or all.
Result<std::vector<classroom::Student>> chosen(const Class& one, const Invocation& in) {
  if (in.arguments().size() < 2) return one.students;
  std::vector<classroom::Student> out;
  for (std::size_t i = 1; i < in.arguments().size(); ++i) {
    const auto* student = one.find(in.argument(i));
    if (!student)
      return fail(Code::kNotFound, "there is no student \"" + in.argument(i) + "\" in the class \"" + one.name + "\"",
                  "lab class show " + one.name + " lists them");
    out.push_back(*student);
  }
  return out;
}

Result<void> list() {
  LAB_TRY(auto names, classroom::list_classes());
  if (names.empty()) {
    std::printf("There is no class. Make one: lab class create NAME --students 10 --exercise 1\n");
    return {};
  }
  std::printf("%-18s %-10s %-20s %-8s %s\n", "NAME", "STUDENTS", "EXERCISE", "STATE", "ENDS");
  for (const auto& name : names) {
    LAB_TRY(auto one, classroom::load_class(name));
    std::printf("%-18s %-10zu %-20s %-8s %s\n", name.c_str(), one.students.size(),
                one.exercise.empty() ? "-" : one.exercise.c_str(), state_of(one).c_str(), left_of(one).c_str());
  }
  return {};
}

Result<void> show(const Invocation& in) {
  LAB_TRY(auto one, classroom::load_class(in.argument(0)));
  std::printf("Class %s: %zu students, exercise %s, %s, ends %s\nTeacher: %s\n\n", one.name.c_str(),
              one.students.size(), one.exercise.empty() ? "of their choice" : one.exercise.c_str(),
              state_of(one).c_str(), left_of(one).c_str(), classroom::link_of(one.url, one, nullptr).c_str());
  std::printf("%-12s %-9s %-24s %s\n", "STUDENT", "LAB", "NAME", "LINK");
  for (const auto& s : one.students)
    std::printf("%-12s %-9s %s %s\n", s.name.c_str(), classroom::lab_state(s.profile).c_str(),
                padded(s.title.empty() ? "-" : s.title, 24).c_str(), classroom::link_of(one.url, one, &s).c_str());
  if (one.url.empty())
    std::printf("\nLinks begin with the address at which lab play is reached, as http://192.168.1.5:8080\n");
  return {};
}

Result<void> cards(const Invocation& in) {
  LAB_TRY(auto one, classroom::load_class(in.argument(0)));
  const std::string url = in.has("url") ? in.get("url") : one.url;
  if (url.empty())
    return fail(Code::kInvalid, "where students reach the page is not known yet",
                "say it: --url http://ADDRESS:PORT, as lab play prints it");
  LAB_TRY(auto page, classroom::cards_html(one, url, in.has("language") ? in.get("language") : one.language));
  if (!in.has("output")) {
    std::fwrite(page.data(), 1, page.size(), stdout);
    return {};
  }
  LAB_CHECK(fs::write_file(in.get("output"), page, 0600));
  std::printf("Wrote %zu cards to %s: open it in a browser and print it. Whoever holds a card can use that lab.\n",
              one.students.size(), in.get("output").c_str());
  return {};
}

std::string marks_of(const classroom::ProgressRow& row) {
  std::string out;
  for (const auto& step : row.matrix) {
    for (const bool passed : step) out += passed ? "✓" : "·";
    out += " ";
  }
  return out;
}

void print_progress(const std::vector<classroom::ProgressRow>& rows) {
  std::printf("%-12s %-20s %-18s %-7s %-9s %s\n", "STUDENT", "NAME", "EXERCISE", "STEPS", "STUCK", "CHECKS");
  for (const auto& r : rows)
    std::printf("%-12s %s %-18s %-7s %-9s %s%s\n", r.student.c_str(),
                padded(r.title.empty() ? "-" : r.title, 20).c_str(), r.exercise.empty() ? "-" : r.exercise.c_str(),
                (std::to_string(r.step) + "/" + std::to_string(r.steps)).c_str(),
                r.stuck ? api::human_duration(std::chrono::seconds(*r.stuck)).c_str() : "-", marks_of(r).c_str(),
                r.message.c_str());
}

Result<void> progress(const Invocation& in) {
  const std::string format = in.get("output");
  const bool again = in.flag("watch");
  if (again && format != "text") return fail(Code::kInvalid, "--watch shows text alone", "leave -o out");
  do {
    LAB_TRY(auto one, classroom::load_class(in.argument(0)));
    const auto now = std::chrono::system_clock::now();
    const auto rows = classroom::progress_of(one, now);
    if (again && ::isatty(STDOUT_FILENO)) std::printf("\033[H\033[2J");
    if (format == "csv") std::printf("%s", classroom::progress_csv(rows).c_str());
    if (format == "json") std::printf("%s\n", json::dump_pretty(classroom::progress_export(one, rows, now)).c_str());
    if (format == "text") print_progress(rows);
    if (std::fflush(stdout) != 0) return fail_errno("print the progress");
    if (again) std::this_thread::sleep_for(kRedraw);
  } while (again);
  return {};
}

Result<void> extend(const Invocation& in) {
  LAB_TRY(auto by, parse_seconds("by", in.argument(1)));
  if (by.count() <= 0) return fail(Code::kInvalid, "\"" + in.argument(1) + "\" is no time to extend by", "as in: 30m");
  LAB_TRY(auto ends, classroom::extend_class(in.argument(0), by));
  std::printf("Class \"%s\" ends %s.\n", in.argument(0).c_str(), ends.c_str());
  return classroom::start_end_keeper(in.argument(0));
}

Result<void> reset(const Invocation& in) {
  LAB_TRY(auto one, classroom::load_class(in.argument(0)));
  LAB_TRY(auto students, chosen(one, in));
  if (!in.flag("force") &&
      !confirmed("Take " + std::to_string(students.size()) + " students back to the start of their exercise?",
                 "--force"))
    return fail(Code::kCancelled, "nothing was reset");
  return classroom::run_jobs(one, students, {"reset"}, say);
}

Result<void> remove(const Invocation& in) {
  const std::string name = in.argument(0);
  auto one = classroom::load_class(name);
  if (!one && one.error().code == Code::kNotFound && classroom::check_class_name(name)) {
    LAB_CHECK(classroom::forget_class(name));  // what a creation or deletion that was killed left
    std::printf("There is no class \"%s\"; nothing to delete.\n", name.c_str());
    return {};
  }
  if (!one) return std::unexpected(std::move(one).error());
  if (!in.flag("force") && !confirmed("Delete class \"" + name + "\" with the labs and work of " +
                                          std::to_string(one->students.size()) + " students?",
                                      "--force"))
    return fail(Code::kCancelled, "nothing was deleted");
  LAB_CHECK(classroom::delete_class(name, say));
  std::printf("Deleted class \"%s\".\n", name.c_str());
  return {};
}

Result<void> with_name(const Invocation& in, Result<void> (*act)(const std::string&), const char* said) {
  LAB_CHECK(act(in.argument(0)));
  std::printf(said, in.argument(0).c_str());
  return {};
}

Result<void> job(const Invocation& in) {
  const auto& all = in.arguments();
  return classroom::run_job(all[0], all[1], {all.begin() + 2, all.end()});
}

}  // namespace

Commands class_commands() {
  const Option force{.name = "force", .help = "Do not ask", .letter = "f"};
  return {
      {.path = "class", .summary = "Classes of students, each with a lab of their own on this machine"},
      class_create_command(),
      {.path = "class list", .summary = "List the classes", .run = [](const Invocation&) { return finish(list()); }},
      {.path = "class show",
       .summary = "Show a class: its students, their labs and links",
       .arguments = {kName},
       .run = [](const Invocation& in) { return finish(show(in)); }},
      {.path = "class cards",
       .summary = "Print login cards as HTML, with QR codes",
       .details = "As in: lab class cards monday -o cards.html",
       .arguments = {kName},
       .options =
           {{.name = "output", .value = "FILE", .help = "Where to write; default: standard output", .letter = "o"},
            {.name = "url", .value = "BASE", .help = "Where students reach the page, as http://192.168.1.5:8080"},
            {.name = "language",
             .value = "LANG",
             .help = "en or es; default: the class's",
             .letter = "l",
             .choices = {"en", "es"}}},
       .run = [](const Invocation& in) { return finish(cards(in)); }},
      {.path = "class progress",
       .summary = "Show how far each student is",
       .arguments = {kName},
       .options = {{.name = "output",
                    .value = "FORMAT",
                    .help = "text, csv or json",
                    .fallback = "text",
                    .letter = "o",
                    .choices = {"text", "csv", "json"}},
                   {.name = "watch", .help = "Go on showing", .letter = "w"}},
       .run = [](const Invocation& in) { return finish(progress(in)); }},
      {.path = "class extend",
       .summary = "Put off the end of a class",
       .details = "As in: lab class extend monday 30m",
       .arguments = {kName, {"BY", "a duration, as 30m"}},
       .run = [](const Invocation& in) { return finish(extend(in)); }},
      {.path = "class pause",
       .summary = "Let all labs of a class stand still",
       .arguments = {kName},
       .run =
           [](const Invocation& in) {
             return finish(
                 with_name(in, classroom::pause_class, "Class \"%s\" stands still until lab class resume.\n"));
           }},
      {.path = "class resume",
       .summary = "Let them go on",
       .arguments = {kName},
       .run =
           [](const Invocation& in) {
             return finish(with_name(in, classroom::resume_class, "Class \"%s\" goes on.\n"));
           }},
      {.path = "class reset",
       .summary = "Take students back to the start of their exercise",
       .arguments = {kName, kStudents},
       .options = {force},
       .run = [](const Invocation& in) { return finish(reset(in)); }},
      {.path = "class delete",
       .summary = "Delete a class with all its labs",
       .arguments = {kName},
       .options = {force},
       .run = [](const Invocation& in) { return finish(remove(in)); }},
      {.path = "class keep",
       .summary = "Wait for the class's end, and let its labs stand still then; class create and class extend start it",
       .arguments = {kName},
       .run = [](const Invocation& in) { return finish(classroom::keep_end(in.argument(0))); },
       .hidden = true},
      {.path = "class job",
       .summary = "Work on a student's lab, as class create and the classroom's server let do",
       .arguments = {kName,
                     {"STUDENT", "by name"},
                     {"WHAT", "start, exercise NAME [LANGUAGE], reset, add-node, delete-node NODE, delete", true,
                      true}},
       .run = [](const Invocation& in) { return finish(job(in)); },
       .hidden = true},
  };
}

}  // namespace lab::cli
