#include "labs/exercises/session.h"

#include <algorithm>
#include <map>

#include "base/fs.h"
#include "bootstrap/local/lab.h"
#include "bootstrap/local/life.h"

namespace lab::exercises {

namespace {

constexpr const char* kDirectory = "/var/lib/lab/exercises";
constexpr const char* kStartState = "exercise-start";  // the snapshot to which a reset goes back

std::string state_file(const std::string& profile) {
  return fs::join(kDirectory, profile + ".json");
}

std::string flag(const std::string& profile) {
  return profile == kDefaultProfile ? "" : " -p " + profile;
}

Result<void> copy_files(Evaluator& lab, const std::string& directory) {
  const std::string from = fs::join(directory, "files");
  if (!fs::exists(from)) return {};
  LAB_TRY(auto to, lab.driver().path_in(lab.profile().nodes[0].name, "/root/exercise"));
  LAB_CHECK(fs::make_dirs(to));
  LAB_TRY(auto names, fs::list_dir(from));
  for (const auto& name : names) LAB_CHECK(fs::copy_file(fs::join(from, name), fs::join(to, name)));
  return {};
}

using Say = std::function<void(const Script&, const bootstrap::ExecResult&)>;

Result<void> run_all(Evaluator& lab, const std::vector<Script>& scripts, const std::string& what, const Say& say) {
  std::map<std::string, std::string> kept;
  for (const auto& script : scripts) {
    auto done = lab.run(script, kept);
    if (!done) return std::unexpected(std::move(done).error().with_context(what));
    say(script, *done);
    if (done->exit_code != 0)
      return fail(Code::kInternal, what + " ended with exit code " + std::to_string(done->exit_code),
                  done->out + done->err);
    while (done->out.ends_with('\n')) done->out.pop_back();
    if (!script.keep.empty()) kept[script.keep] = done->out;
  }
  return {};
}

bool has_start_state(const std::string& profile) {
  auto all = bootstrap::snapshots_of(profile);
  return all && std::ranges::any_of(*all, [](const bootstrap::Snapshot& s) { return s.name == kStartState; });
}

std::vector<std::vector<bool>> nothing_passed(const Exercise& e) {
  std::vector<std::vector<bool>> out;
  for (const auto& s : e.steps) out.emplace_back(s.checks.size(), false);
  return out;
}

}  // namespace

Result<Session> Session::start(const Exercise& exercise, const StartRequest& request) {
  auto before = load(request.profile);
  if (before && before->exercise_.name != exercise.name)
    return fail(Code::kConflict, "the lab \"" + request.profile + "\" is at exercise " + before->exercise_.name,
                "go on with: lab exercise check" + flag(request.profile) + "; or end it: lab exercise stop" +
                    flag(request.profile));
  if (before && before->ready_) {
    // The machine may have been restarted since.
    LAB_CHECK(bootstrap::start_lab({.profile = request.profile,
                                    .nodes = 0,
                                    .initialise = exercise.cluster,
                                    .merge_kubeconfig = request.merge_kubeconfig}));
    return before;
  }
  if (!before && bootstrap::load_profile(request.profile))
    return fail(Code::kConflict,
                "there is a lab \"" + request.profile + "\" already, which was not made for an exercise",
                "choose another name with --profile, or delete it: lab delete --profile " + request.profile);
  Session s;
  s.exercise_ = exercise;
  s.profile_ = request.profile;
  s.language_ = request.language;
  s.merge_kubeconfig_ = request.merge_kubeconfig;
  LAB_CHECK(s.reset());
  return s;
}

Result<Session> Session::load(const std::string& profile) {
  auto text = fs::read_file(state_file(profile));
  if (!text)
    return fail(Code::kNotFound, "no exercise was started in the lab \"" + profile + "\"",
                "lab exercise list shows them; start one: lab exercise start 1");
  LAB_TRY(auto state, json::parse(*text));
  Session s;
  LAB_TRY(s.exercise_, load_exercise(std::string(json::str(state, "directory"))));
  s.profile_ = profile;
  s.language_ = json::str(state, "language");
  s.ready_ = json::flag(state, "ready");
  s.merge_kubeconfig_ = json::flag(state, "mergeKubeconfig");
  s.passed_ = nothing_passed(s.exercise_);
  // By name: a step may have been put in since the exercise was begun.
  for (std::size_t i = 0; i < s.exercise_.steps.size(); ++i) {
    const auto& marks = json::list(state, "passed", s.exercise_.steps[i].name);
    for (std::size_t k = 0; k < std::min(marks.size(), s.passed_[i].size()); ++k)
      s.passed_[i][k] = json::as_bool(marks[k]);
  }
  s.seen_.resize(s.passed_.size());
  for (std::size_t i = 0; i < s.seen_.size(); ++i) s.seen_[i].resize(s.passed_[i].size());
  return s;
}

Result<void> Session::save() const {
  json::Object passed;
  for (std::size_t i = 0; i < exercise_.steps.size(); ++i) {
    json::Array marks;
    for (bool b : passed_[i]) marks.emplace_back(b);
    passed[exercise_.steps[i].name] = std::move(marks);
  }
  const json::Value state = json::Object{{"exercise", exercise_.name},
                                         {"directory", exercise_.directory},
                                         {"language", language_},
                                         {"ready", ready_},
                                         {"mergeKubeconfig", merge_kubeconfig_},
                                         {"passed", std::move(passed)}};
  LAB_CHECK(fs::make_dirs(kDirectory));
  return fs::write_file(state_file(profile_), json::dump_pretty(state));
}

Result<Evaluator*> Session::evaluator() {
  if (!evaluator_) {
    LAB_TRY(auto made, Evaluator::open(profile_));
    evaluator_ = std::make_unique<Evaluator>(std::move(made));
  }
  return evaluator_.get();
}

Result<void> Session::reset() {
  ready_ = false;
  passed_ = nothing_passed(exercise_);
  seen_.clear();
  for (const auto& p : passed_) seen_.emplace_back(p.size());
  LAB_CHECK(save());  // first: a lab that is half gone is known to be the exercise's
  evaluator_.reset();
  const bool there = bootstrap::load_profile(profile_).has_value();
  if (there && has_start_state(profile_)) {
    LAB_CHECK(bootstrap::restore_snapshot(profile_, kStartState));
  } else {
    if (there) LAB_CHECK(bootstrap::delete_lab(profile_));
    LAB_CHECK(prepare());
  }
  ready_ = true;
  return save();
}

Result<void> Session::prepare() {
  LAB_CHECK(bootstrap::start_lab({.profile = profile_,
                                  .nodes = exercise_.nodes,
                                  .initialise = exercise_.cluster,
                                  .merge_kubeconfig = merge_kubeconfig_ && exercise_.cluster}));
  LAB_TRY(auto* lab, evaluator());
  LAB_CHECK(copy_files(*lab, exercise_.directory));
  LAB_CHECK(run_all(*lab, exercise_.setup, "the preparation of the exercise",
                    [](const Script&, const bootstrap::ExecResult&) {}));
  // Without it a reset makes the lab anew: slower, and no reason to refuse the exercise.
  auto kept = bootstrap::save_snapshot({.profile = profile_, .name = kStartState});
  if (!kept) bootstrap::Progress().warn("resets will be slow: " + kept.error().text());
  return {};
}

std::size_t Session::current() const {
  for (std::size_t i = 0; i < passed_.size(); ++i)
    if (!std::ranges::all_of(passed_[i], [](bool b) { return b; })) return i;
  return passed_.size();
}

Result<bool> Session::check() {
  const std::size_t step = current();
  if (step == exercise_.steps.size()) return false;
  LAB_TRY(auto* lab, evaluator());
  bool news = false;
  for (std::size_t k = 0; k < passed_[step].size(); ++k) {
    if (passed_[step][k]) continue;
    auto verdict = lab->evaluate(exercise_.steps[step].checks[k]);
    passed_[step][k] = verdict.passed;
    seen_[step][k] = verdict.passed ? "" : verdict.seen;
    news = news || verdict.passed;
  }
  if (news) LAB_CHECK(save());
  return news;
}

std::vector<CheckState> Session::states(std::size_t step) const {
  std::vector<CheckState> out;
  for (std::size_t k = 0; k < passed_[step].size(); ++k)
    out.push_back(
        {.say = exercise_.steps[step].checks[k].say.in(language_), .passed = passed_[step][k], .seen = seen_[step][k]});
  return out;
}

Result<void> Session::solve(const std::function<void(const Script&, const bootstrap::ExecResult&)>& say) {
  const std::size_t step = current();
  if (step == exercise_.steps.size()) return {};
  LAB_TRY(auto* lab, evaluator());
  return run_all(*lab, exercise_.steps[step].solve, "the solution of step " + exercise_.steps[step].name, say);
}

Result<void> end_session(const std::string& profile) {
  if (bootstrap::load_profile(profile)) LAB_CHECK(bootstrap::delete_lab(profile));
  return fs::remove_file(state_file(profile));
}

}  // namespace lab::exercises
