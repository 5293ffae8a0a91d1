#include "cli/class_create.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/fs.h"
#include "bootstrap/local/profile.h"
#include "bootstrap/node/user_namespace.h"
#include "cli/duration.h"
#include "cli/report.h"
#include "labs/classroom/model/capacity.h"
#include "labs/classroom/model/cards.h"
#include "labs/classroom/model/class_end.h"
#include "labs/classroom/model/names.h"
#include "labs/classroom/model/student_lab.h"
#include "labs/exercises/exercise.h"
#include "orchestrator/api/time.h"

namespace lab::cli {

namespace {

using classroom::Class;

constexpr int kMostNodes = 9;

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

std::string default_language() {
  const char* lang = std::getenv("LANG");
  return lang && std::string_view(lang).starts_with("es") ? "es" : "en";
}

// Far above what an exercise takes, and far below what would end the others' labs: for each node that there may be.
constexpr std::uint64_t kMemoryOfNode = 1ull << 30, kPidsOfNode = 1000, kDiskOfNode = 2ull << 30;

Result<std::uint64_t> size_limit(const Invocation& in, const std::string& option, std::uint64_t usual) {
  if (!in.has(option)) return usual;
  if (in.get(option) == "none") return 0;
  return parse_bytes(option, in.get(option));
}

Result<classroom::Limits> limits_of(const Invocation& in, int node_limit) {
  classroom::Limits out;
  const auto nodes = static_cast<std::uint64_t>(node_limit);
  LAB_TRY(out.memory_bytes, size_limit(in, "memory", nodes * kMemoryOfNode));
  LAB_TRY(out.disk_bytes, size_limit(in, "disk", nodes * kDiskOfNode));
  if (in.has("cpus")) out.cpus = std::atof(in.get("cpus").c_str());
  out.pids = in.has("pids") ? static_cast<std::uint64_t>(in.number("pids")) : nodes * kPidsOfNode;
  return out;
}

// The names of the file, and as many more empty ones as there are students.
Result<std::vector<std::string>> titles_of(const Invocation& in) {
  std::vector<std::string> out;
  if (in.has("names")) {
    LAB_TRY(auto text, fs::read_file(in.get("names")));
    LAB_TRY(out, classroom::parse_names(text));
  }
  const auto wanted = in.has("students") ? static_cast<std::size_t>(in.number("students")) : out.size();
  if (wanted == 0)
    return fail(Code::kInvalid, "a class needs students", "as in: --students 20, or --names FILE with one name a line");
  if (wanted > classroom::kMostStudents)
    return fail(Code::kInvalid, "a class has at most " + std::to_string(classroom::kMostStudents) + " students",
                "make two classes");
  if (out.size() > wanted)
    return fail(Code::kInvalid,
                "--names has " + std::to_string(out.size()) + " names for " + std::to_string(wanted) + " students",
                "leave --students out, or take names out of the file");
  out.resize(wanted);
  return out;
}

Result<int> nodes_of(const Invocation& in, const exercises::Exercise* exercise) {
  const int least = exercise ? exercise->nodes : 1;
  const int out = in.has("nodes") ? static_cast<int>(in.number("nodes")) : exercise ? least : 3;
  if (out < least)
    return fail(Code::kInvalid, "the exercise " + exercise->name + " needs " + std::to_string(least) + " nodes",
                "give --nodes " + std::to_string(least) + ", or leave it out");
  if (out < 1 || out > kMostNodes)
    return fail(Code::kInvalid, "a student's lab has 1 to " + std::to_string(kMostNodes) + " nodes");
  return out;
}

// What the command line says, without students.
Result<Class> described(const Invocation& in) {
  Class c;
  c.name = in.argument(0);
  LAB_CHECK(classroom::check_class_name(c.name));
  std::optional<exercises::Exercise> exercise;
  if (in.has("exercise")) {
    LAB_TRY(exercise, exercises::find_exercise(in.get("exercise")));
    // A folder of the teacher's own is found again by its path alone.
    c.exercise = in.get("exercise").find('/') == std::string::npos ? exercise->name : exercise->directory;
  }
  LAB_TRY(c.nodes, nodes_of(in, exercise ? &*exercise : nullptr));
  c.node_limit = in.has("node-limit") ? static_cast<int>(in.number("node-limit")) : c.nodes + 2;
  if (c.node_limit < c.nodes)
    return fail(Code::kInvalid, "--node-limit is less than the nodes that each lab begins with");
  LAB_TRY(c.limits, limits_of(in, c.node_limit));
  LAB_CHECK(classroom::check_limits(c.limits, c.nodes));
  c.language = in.has("language") ? in.get("language") : default_language();
  const auto now = std::chrono::system_clock::now();
  c.created = api::format_time(now);
  if (in.has("ends")) {
    LAB_TRY(auto length, parse_seconds("ends", in.get("ends")));
    if (length.count() <= 0) return fail(Code::kInvalid, "--ends must lie ahead", "as in: --ends 2h");
    c.ends = api::format_time(now + length);
  }
  if (in.has("url")) {
    LAB_TRY(c.url, classroom::check_url(in.get("url")));
  }
  c.teacher_secret = classroom::new_secret();
  return c;
}

// The same command goes on with a class that was begun; with more students, these come in.
Result<void> refuse_another(const Class& there, const Class& wanted, std::size_t students) {
  std::string differs;
  if (there.exercise != wanted.exercise)
    differs = "exercise " + (there.exercise.empty() ? std::string("of choice") : there.exercise);
  else if (there.nodes != wanted.nodes)
    differs = std::to_string(there.nodes) + " nodes";
  else if (there.students.size() > students)
    differs = std::to_string(there.students.size()) + " students";
  else if (there.limits.memory_bytes != wanted.limits.memory_bytes || there.limits.cpus != wanted.limits.cpus ||
           there.limits.pids != wanted.limits.pids || there.limits.disk_bytes != wanted.limits.disk_bytes)
    differs = "other limits";
  if (differs.empty() && !there.ending) return {};
  return fail(Code::kConflict,
              "there is a class \"" + there.name + "\" already, " +
                  (there.ending ? "which is being deleted" : "with " + differs),
              "choose another name, or delete it: lab class delete " + there.name);
}

// Labs that somebody made by hand under names of the class's would go with it.
Result<void> refuse_foreign_labs(const std::string& name) {
  LAB_TRY(auto labs, bootstrap::list_profiles());
  for (const auto& lab : labs)
    if (classroom::is_lab_of(name, lab))
      return fail(Code::kConflict,
                  "there is a lab \"" + lab + "\" already, which a class \"" + name + "\" would take for its own",
                  "choose another name for the class, or delete the lab: lab delete -p " + lab);
  return {};
}

// What is free, less what the labs that run now will want of the processors: they may be idle at this moment.
classroom::Machine machine_now() {
  auto machine = classroom::look_at_machine("", bootstrap::kLabsDirectory);
  auto labs = bootstrap::list_profiles();
  if (!labs) return machine;
  for (const auto& name : *labs)
    if (auto lab = bootstrap::load_profile(name); lab && classroom::lab_state(name) == "running")
      machine.millicores -= classroom::need_of(static_cast<int>(lab->nodes.size())).lab.millicores;
  return machine;
}

// Shows what fits before anything is made.
Result<void> check_capacity(const Class& c, bool force) {
  const auto missing =
      std::ranges::count_if(c.students, [](const auto& s) { return classroom::lab_state(s.profile) == "none"; });
  const auto capacity = classroom::capacity_of(machine_now(), classroom::need_of(c.nodes));
  std::printf("Class \"%s\": %zu students with %d nodes each, exercise %s\n\n%s\n", c.name.c_str(), c.students.size(),
              c.nodes, c.exercise.empty() ? "of their choice" : c.exercise.c_str(),
              classroom::capacity_table(capacity).c_str());
  if (capacity.resources.empty()) return {};
  const auto& tightest = capacity.resources.front();
  std::printf("There is room for %lld more labs; the limit is set by: %s.\n\n", static_cast<long long>(capacity.labs),
              tightest.name.c_str());
  std::fflush(stdout);
  if (missing <= capacity.labs || force) return {};
  return fail(Code::kInvalid,
              std::to_string(missing) + " labs do not fit on this machine, " + std::to_string(capacity.labs) +
                  " do: " + tightest.name + " would not suffice",
              tightest.advice + "; or make it all the same with --force");
}

Result<Class> enrolled(const Invocation& in) {
  LAB_TRY(auto wanted, described(in));
  LAB_TRY(auto titles, titles_of(in));
  LAB_TRY(auto lock, classroom::lock_class(wanted.name));
  auto there = classroom::load_class(wanted.name);
  if (!there && there.error().code != Code::kNotFound) return std::unexpected(std::move(there).error());
  LAB_CHECK(there ? refuse_another(*there, wanted, titles.size()) : refuse_foreign_labs(wanted.name));
  Class c = there ? *there : wanted;
  for (std::size_t i = c.students.size(); i < titles.size(); ++i)
    c.students.push_back(classroom::new_student(c.name, i + 1, titles[i]));
  LAB_CHECK(check_capacity(c, in.flag("force")));
  LAB_CHECK(classroom::save_class(c));  // first: whatever is made from here on, delete knows of it
  return c;
}

// A teacher must know what stands between the students and this machine.
void warn_of_weak_isolation() {
  auto works = bootstrap::check_user_namespaces(bootstrap::kLabsDirectory);
  if (works) return;
  std::fprintf(
      stderr,
      "warning: students' nodes run without user namespaces: %s. Their root is this machine's, held by namespaces "
      "and cgroups alone: see docs/isolation.md before you hand labs to people you do not trust\n",
      works.error().message.c_str());
}

Result<void> create(const Invocation& in) {
  LAB_TRY(auto c, enrolled(in));
  if (!c.ends.empty()) LAB_CHECK(classroom::start_end_keeper(c.name));
  warn_of_weak_isolation();
  if (!c.exercise.empty() && !in.flag("on-demand")) LAB_CHECK(classroom::run_jobs(c, c.students, {"start"}, say));
  std::printf("\nClass \"%s\" is ready. Login cards: lab class cards %s -o cards.html      The page: lab play\n",
              c.name.c_str(), c.name.c_str());
  return {};
}

}  // namespace

Command class_create_command() {
  return {
      .path = "class create",
      .summary = "Make a class: capacity is shown first, then every student's lab is made",
      .details =
          "As in: lab class create monday --students 20 --exercise 4 --ends 2h\n\nKilled and run again it goes on; "
          "with more students it takes these in.",
      .arguments = {{"NAME", "the class"}},
      .options =
          {{.name = "students", .value = "N", .help = "How many; default: as many as there are names", .letter = "n"},
           {.name = "names", .value = "FILE", .help = "Their names, one a line"},
           {.name = "nodes", .value = "N", .help = "Nodes of each lab; default: as the exercise asks"},
           {.name = "node-limit", .value = "N", .help = "Up to which a student may add nodes; default: two more"},
           {.name = "exercise",
            .value = "EXERCISE",
            .help = "With which they begin; default: they choose",
            .letter = "e"},
           {.name = "language",
            .value = "LANG",
            .help = "en or es; default: that of LANG",
            .letter = "l",
            .choices = {"en", "es"}},
           {.name = "memory",
            .value = "SIZE",
            .help = "Limit of each lab, or none; default: 1 GiB for each node up to the node limit"},
           {.name = "cpus", .value = "N", .help = "Limit of each lab; default: none"},
           {.name = "pids",
            .value = "N",
            .help = "Limit of each lab, in processes and threads, 0 for none; default: 1000 for each node up to the "
                    "node limit"},
           {.name = "disk",
            .value = "SIZE",
            .help = "Limit of each lab, or none; default: 2 GiB for each node up to the node limit"},
           {.name = "ends",
            .value = "DURATION",
            .help = "When the class is over, from now; default: when it is deleted"},
           {.name = "url", .value = "BASE", .help = "Where students will reach the page, as http://192.168.1.5:8080"},
           {.name = "on-demand", .help = "Make a student's lab at the first visit, not now"},
           {.name = "force", .help = "Also beyond what fits", .letter = "f"}},
      .run = [](const Invocation& in) { return finish(create(in)); }};
}

}  // namespace lab::cli
