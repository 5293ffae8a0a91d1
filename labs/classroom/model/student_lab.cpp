#include "labs/classroom/model/student_lab.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/subprocess.h"
#include "bootstrap/local/lab.h"
#include "bootstrap/local/life.h"
#include "bootstrap/local/steps.h"
#include "bootstrap/node/user_namespace.h"
#include "labs/exercises/session.h"
#include "labs/terminal/client.h"
#include "orchestrator/api/time.h"

namespace lab::classroom {

namespace {

using exercises::Session;

constexpr auto kLongestJob = std::chrono::minutes(30);

// Jobs of one lab come one after the other; what is started by hand meanwhile is refused by the lab's own lock.
Result<FileLock> take_turn(const std::string& profile) {
  return FileLock::wait_for(job_lock_file(profile));
}

std::string template_prefix(const std::string& class_name) {
  return class_name + "--";  // no student's lab is called so
}

std::size_t jobs_at_once() {
  return std::max(2u, std::thread::hardware_concurrency());
}

bootstrap::LabLimits limits_of(const Class& one) {
  const auto& l = one.limits;
  return {.memory_bytes = l.memory_bytes, .cpus = l.cpus, .pids = l.pids, .disk_bytes = l.disk_bytes};
}

// Where the kernel or the file system cannot do it, namespaces, cgroups and the missing network stand alone.
bool user_namespaces_work() {
  return bootstrap::check_user_namespaces(bootstrap::kLabsDirectory).has_value();
}

int nodes_for(const Class& one, const exercises::Exercise& exercise) {
  const bool own = exercise.name == one.exercise || exercise.directory == one.exercise;
  return own ? one.nodes : exercise.nodes;
}

Result<void> begin(const Class& one, const Student& student, const exercises::Exercise& exercise,
                   const std::string& language, bool replace) {
  auto before = Session::load(student.profile);
  const bool stands = before && before->ready() && before->exercise().name == exercise.name;
  if (!stands) LAB_CHECK(make_template(one, exercise));
  LAB_TRY(auto session, Session::start(exercise, {.profile = student.profile,
                                                  .language = language,
                                                  .merge_kubeconfig = false,
                                                  .nodes = nodes_for(one, exercise),
                                                  .replace = replace,
                                                  .isolated = true,
                                                  .from = template_profile(one.name, exercise),
                                                  .limits = limits_of(one),
                                                  .user_namespace = user_namespaces_work()}));
  return replace ? session.speak(language) : Result<void>();
}

Result<void> start(const Class& one, const Student& student) {
  auto before = Session::load(student.profile);
  if (before) return begin(one, student, before->exercise(), before->language(), false);
  if (before.error().code != Code::kNotFound) return std::unexpected(std::move(before).error());
  if (one.exercise.empty())
    return bootstrap::start_lab({.profile = student.profile,
                                 .nodes = one.nodes,
                                 .isolated = true,
                                 .limits = limits_of(one),
                                 .user_namespace = user_namespaces_work(),
                                 .merge_kubeconfig = false});
  LAB_TRY(auto exercise, exercises::find_exercise(one.exercise));
  return begin(one, student, exercise, one.language, false);
}

Result<void> change_exercise(const Class& one, const Student& student, const std::vector<std::string>& what) {
  LAB_TRY(auto exercise, exercises::find_exercise(what.at(1)));
  // A lab that was made without an exercise makes room as well.
  auto before = Session::load(student.profile);
  if (!before && bootstrap::load_profile(student.profile)) LAB_CHECK(exercises::end_session(student.profile));
  return begin(one, student, exercise, what.size() > 2 ? what[2] : one.language, true);
}

Result<void> reset(const Student& student) {
  auto session = Session::load(student.profile);
  if (!session && session.error().code == Code::kNotFound)
    return fail(Code::kConflict, student.name + " has begun no exercise that could be reset",
                "one is chosen on the page");
  return session ? session->reset() : std::unexpected(std::move(session).error());
}

Result<void> add_node(const Class& one, const Student& student) {
  LAB_TRY(auto profile, bootstrap::load_profile(student.profile));
  if (static_cast<int>(profile.nodes.size()) >= one.node_limit)
    return fail(Code::kConflict,
                "the lab has " + std::to_string(profile.nodes.size()) + " nodes, as many as the class allows",
                "take one away first");
  LAB_CHECK(bootstrap::add_node(student.profile, ""));
  return {};
}

Result<void> act(const Class& one, const Student& student, const std::vector<std::string>& what) {
  const std::string& verb = what.at(0);
  const bool argued = what.size() > 1;
  if (verb == "start") return start(one, student);
  if (verb == "exercise" && argued) return change_exercise(one, student, what);
  if (verb == "reset") return reset(student);
  if (verb == "add-node") return add_node(one, student);
  if (verb == "delete-node" && argued) return bootstrap::delete_node(student.profile, what[1]);
  return fail(Code::kInvalid, "\"" + verb + "\" is no job for a student's lab, or says too little",
              "start, exercise NAME [LANGUAGE], reset, add-node, delete-node NODE or delete");
}

Result<void> refuse_when_not_open(const Class& one) {
  if (one.ending) return fail(Code::kConflict, "the class \"" + one.name + "\" is being deleted");
  if (one.paused)
    return fail(Code::kConflict, "the class \"" + one.name + "\" is paused",
                "let it go on: lab class resume " + one.name);
  if (is_over(one))
    return fail(Code::kConflict, "the class \"" + one.name + "\" has ended",
                "give it more time: lab class extend " + one.name + " 30m");
  return {};
}

// The last words of a job: its error without "error: ".
std::string reason_of(const Finished& done) {
  std::string text = done.err.empty() ? done.out : done.err;
  while (text.ends_with('\n')) text.pop_back();
  if (text.size() > 600) text = "..." + text.substr(text.size() - 600);
  return text.starts_with("error: ") ? text.substr(7) : text;
}

Result<void> join_errors(const std::vector<std::string>& errors, const std::string& hint) {
  if (errors.empty()) return {};
  std::string text;
  for (const auto& e : errors) text += (text.empty() ? "" : "\n") + e;
  return fail(Code::kInternal, text, hint);
}

// Of every student's lab that is in one of these states; what cannot be done is told at the end.
Result<void> for_labs(const Class& one, const std::string& state, Result<bool> (*act_on)(const std::string&)) {
  std::mutex guard;
  std::vector<std::string> errors;
  LAB_CHECK(bootstrap::for_each_parallel(one.students, [&](const Student& s) -> Result<void> {
    if (lab_state(s.profile) != state) return {};
    LAB_TRY(auto turn, take_turn(s.profile));
    if (auto done = act_on(s.profile); !done && lab_state(s.profile) == state) {
      const std::lock_guard lock(guard);
      errors.push_back(s.name + ": " + done.error().text());
    }
    return {};
  }));
  return join_errors(errors, "run it again");
}

bool stands_still(const Class& one) {
  return one.paused || is_over(one);
}

Result<Class> change_class(const std::string& name, const std::function<Result<void>(Class&)>& change) {
  LAB_TRY(auto lock, lock_class(name));
  LAB_TRY(auto one, load_class(name));
  LAB_CHECK(change(one));
  LAB_CHECK(save_class(one));
  return one;
}

// Labs that were made for the class beside the students' own.
Result<std::vector<std::string>> templates_of(const std::string& class_name) {
  std::vector<std::string> out;
  LAB_TRY(auto labs, bootstrap::list_profiles());
  LAB_TRY(auto sessions, exercises::sessions());
  labs.insert(labs.end(), sessions.begin(), sessions.end());
  for (auto& name : labs)
    if (name.starts_with(template_prefix(class_name)) && std::ranges::find(out, name) == out.end())
      out.push_back(std::move(name));
  return out;
}

}  // namespace

std::string job_lock_file(const std::string& profile) {
  return "/run/lab/class-job-" + profile + ".lock";
}

std::vector<std::string> job_command(const std::string& class_name, const std::string& student,
                                     const std::vector<std::string>& what) {
  std::vector<std::string> out{fs::self_exe(), "class", "job", class_name, student};
  out.insert(out.end(), what.begin(), what.end());
  return out;
}

Result<void> run_job(const std::string& class_name, const std::string& student, const std::vector<std::string>& what) {
  LAB_TRY(auto known, load_class(class_name));
  const Student* who = known.find(student);
  if (!who || what.empty())
    return fail(Code::kNotFound, "there is no student \"" + student + "\" in the class \"" + class_name + "\"",
                "lab class show " + class_name + " lists them");
  const Student s = *who;
  LAB_TRY(auto turn, take_turn(s.profile));
  if (what[0] == "delete") {
    LAB_CHECK(exercises::end_session(s.profile));
    return terminal::end_keeper(s.profile);
  }
  LAB_TRY(auto one, load_class(class_name));  // as it is now that its turn has come
  LAB_CHECK(refuse_when_not_open(one));
  auto done = act(one, s, what);
  // Whoever paused the class meanwhile did not find this lab running.
  if (auto after = load_class(class_name); after && stands_still(*after) && lab_state(s.profile) == "running")
    (void)bootstrap::pause_lab(s.profile);
  return done;
}

std::string template_profile(const std::string& class_name, const exercises::Exercise& exercise) {
  std::string word;
  for (const char c : exercise.name)
    if (word.size() < 12 && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) word += c;
  // Two folders may have the same name.
  return template_prefix(class_name) + word + "-" + crypto::hex_encode(crypto::sha256(exercise.directory)).substr(0, 6);
}

// Its session tells that it is whole: Session::start takes the snapshot before it says so.
Result<void> make_template(const Class& one, const exercises::Exercise& exercise) {
  const std::string profile = template_profile(one.name, exercise);
  LAB_TRY(auto turn, take_turn(profile));
  auto before = Session::load(profile);
  if (!before || !before->ready())
    LAB_CHECK(Session::start(exercise, {.profile = profile,
                                        .language = one.language,
                                        .merge_kubeconfig = false,
                                        .nodes = nodes_for(one, exercise),
                                        .isolated = true}));
  return lab_state(profile) == "stopped" ? Result<void>() : bootstrap::stop_lab(profile);
}

bool is_lab_of(const std::string& class_name, const std::string& profile) {
  if (profile.starts_with(template_prefix(class_name))) return true;
  const std::string prefix = class_name + "-student";
  return profile.starts_with(prefix) && profile.size() > prefix.size() &&
         profile.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
}

Result<void> run_jobs(const Class& one, const std::vector<Student>& students, const std::vector<std::string>& what,
                      const std::function<void(const std::string&)>& say) {
  std::mutex guard;
  std::vector<std::string> errors;
  std::atomic<std::size_t> next = 0;
  std::size_t ended = 0;
  auto work = [&] {
    for (std::size_t i = next++; i < students.size(); i = next++) {
      const auto begun = std::chrono::steady_clock::now();
      auto done = run({.argv = job_command(one.name, students[i].name, what), .timeout = kLongestJob});
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
      const std::string wrong = !done ? done.error().text() : done->ok() ? "" : reason_of(*done);
      const std::lock_guard lock(guard);
      if (!wrong.empty()) errors.push_back(students[i].name + ": " + wrong);
      char line[96];
      std::snprintf(line, sizeof line, "[%zu/%zu] %s %s (%.1f s)", ++ended, students.size(), students[i].name.c_str(),
                    wrong.empty() ? "done" : "failed", seconds);
      say(line);
    }
  };
  std::vector<std::jthread> workers;
  for (std::size_t i = 0; i < std::min(jobs_at_once(), students.size()); ++i) workers.emplace_back(work);
  workers.clear();
  return join_errors(errors, "the others are done; the same command goes on with these");
}

std::string lab_state(const std::string& profile) {
  auto known = bootstrap::load_profile(profile);
  if (!known) return "none";
  auto driver = bootstrap::make_driver(*known);
  if (!driver) return "none";
  auto states = (*driver)->list();
  if (!states || std::ranges::none_of(*states, &bootstrap::NodeState::running)) return "stopped";
  return (*driver)->paused().value_or(false) ? "paused" : "running";
}

Result<void> delete_class(const std::string& name, const std::function<void(const std::string&)>& say) {
  LAB_TRY(auto one, change_class(name, [](Class& c) -> Result<void> {
            c.ending = true;  // first: nothing new is made from here on
            return {};
          }));
  LAB_CHECK(run_jobs(one, one.students, {"delete"}, say));
  LAB_TRY(auto templates, templates_of(name));
  for (const auto& profile : templates) {
    LAB_TRY(auto turn, take_turn(profile));
    LAB_CHECK(exercises::end_session(profile));
  }
  LAB_TRY(auto lock, lock_class(name));
  return forget_class(name);
}

Result<void> pause_class(const std::string& name) {
  LAB_TRY(auto one, change_class(name, [](Class& c) -> Result<void> {
            c.paused = true;
            return {};
          }));
  return for_labs(one, "running", bootstrap::pause_lab);
}

Result<void> rest_class(const std::string& name) {
  LAB_TRY(auto one, load_class(name));
  if (!is_over(one)) return {};
  auto done = for_labs(one, "running", bootstrap::pause_lab);
  // Who extended the class meanwhile did not find these labs paused.
  if (auto after = load_class(name); after && !stands_still(*after))
    return for_labs(*after, "paused", bootstrap::unpause_lab);
  return done;
}

Result<void> resume_class(const std::string& name) {
  LAB_TRY(auto one, change_class(name, [](Class& c) -> Result<void> {
            if (is_over(c))
              return fail(Code::kConflict, "the class \"" + c.name + "\" has ended",
                          "give it more time: lab class extend " + c.name + " 30m");
            c.paused = false;
            return {};
          }));
  return for_labs(one, "paused", bootstrap::unpause_lab);
}

Result<std::string> extend_class(const std::string& name, std::chrono::seconds by) {
  LAB_TRY(auto one, change_class(name, [&](Class& c) -> Result<void> {
            const auto ends = api::parse_time(c.ends);
            if (!ends)
              return fail(Code::kConflict, "the class \"" + c.name + "\" has no end that could be put off",
                          "it goes on until lab class delete " + c.name);
            c.ends = api::format_time(std::max(*ends, std::chrono::system_clock::now()) + by);
            return {};
          }));
  if (!stands_still(one)) LAB_CHECK(for_labs(one, "paused", bootstrap::unpause_lab));
  return one.ends;
}

}  // namespace lab::classroom
