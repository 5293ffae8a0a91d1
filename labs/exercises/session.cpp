#include "labs/exercises/session.h"

#include <algorithm>
#include <map>

#include "base/fs.h"
#include "bootstrap/local/lab.h"
#include "bootstrap/local/life.h"
#include "orchestrator/api/time.h"

namespace lab::exercises {

namespace {

constexpr const char* kDirectory = "/var/lib/lab/exercises";
constexpr std::string_view kSuffix = ".json";

std::string flag(const std::string& profile) {
  return profile == kDefaultProfile ? "" : " -p " + profile;
}

Result<void> copy_files(Evaluator& lab, const std::string& directory) {
  const std::string from = fs::join(directory, "files");
  if (!fs::exists(from)) return {};
  const std::string node = lab.profile().nodes[0].name;
  LAB_TRY(auto names, fs::list_dir(from));
  for (const auto& name : names)
    LAB_CHECK(lab.driver().copy_in(node, fs::join(from, name), fs::join("/root/exercise", name)));
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

// As StartOptions::from has it.
std::string start_of(const std::string& profile) {
  return profile + "/" + kStartState;
}

std::string now() {
  return api::format_time(std::chrono::system_clock::now());
}

bool has_start_state(const std::string& profile) {
  auto all = bootstrap::snapshots_of(profile);
  return all && std::ranges::any_of(*all, [](const bootstrap::Snapshot& s) { return s.name == kStartState; });
}

json::Value encode(const bootstrap::LabLimits& l) {
  return json::Object{{"memory", l.memory_bytes}, {"cpus", l.cpus}, {"pids", l.pids}, {"disk", l.disk_bytes}};
}

bootstrap::LabLimits decode_limits(const json::Value& v) {
  const auto& cpus = json::at(v, "cpus");
  return {.memory_bytes = static_cast<std::uint64_t>(json::num(v, "memory")),
          .cpus = cpus.is_double() ? cpus.get_double() : static_cast<double>(json::as_int(cpus)),
          .pids = static_cast<std::uint64_t>(json::num(v, "pids")),
          .disk_bytes = static_cast<std::uint64_t>(json::num(v, "disk"))};
}

std::vector<std::vector<bool>> nothing_passed(const Exercise& e) {
  std::vector<std::vector<bool>> out;
  for (const auto& s : e.steps) out.emplace_back(s.checks.size(), false);
  return out;
}

}  // namespace

std::string session_file(const std::string& profile) {
  return fs::join(kDirectory, profile + std::string(kSuffix));
}

Result<Session> Session::start(const Exercise& exercise, const StartRequest& request) {
  auto before = load(request.profile);
  if (before && before->exercise_.name != exercise.name && request.replace) {
    LAB_CHECK(end_session(request.profile));
    before = load(request.profile);
  }
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
  s.nodes_ = request.nodes;
  s.isolated_ = request.isolated;
  s.from_ = request.from;
  s.limits_ = request.limits;
  s.user_namespace_ = request.user_namespace;
  LAB_CHECK(s.reset());
  return s;
}

Result<Session> Session::load(const std::string& profile) {
  auto text = fs::read_file(session_file(profile));
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
  s.nodes_ = static_cast<int>(json::num(state, "nodes"));
  s.isolated_ = json::flag(state, "isolated");
  s.from_ = json::str(state, "from");
  s.limits_ = decode_limits(json::at(state, "limits"));
  s.user_namespace_ = json::flag(state, "userNamespace");
  s.begun_ = json::str(state, "begun");
  s.advanced_ = json::str(state, "advanced");
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
                                         {"nodes", nodes_},
                                         {"isolated", isolated_},
                                         {"from", from_},
                                         {"limits", encode(limits_)},
                                         {"userNamespace", user_namespace_},
                                         {"begun", begun_},
                                         {"advanced", advanced_},
                                         {"passed", std::move(passed)}};
  LAB_CHECK(fs::make_dirs(kDirectory));
  return fs::write_file(session_file(profile_), json::dump_pretty(state));
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
  begun_ = advanced_ = "";
  passed_ = nothing_passed(exercise_);
  seen_.clear();
  for (const auto& p : passed_) seen_.emplace_back(p.size());
  LAB_CHECK(save());  // first: a lab that is half gone is known to be the exercise's
  evaluator_.reset();
  LAB_CHECK(go_back());
  ready_ = true;
  begun_ = now();
  return save();
}

// To the lab's own snapshot, or to that of the lab which it was started from; without one it is made anew.
Result<void> Session::go_back() {
  auto lab = bootstrap::load_profile(profile_);
  if (!lab || lab->copying) return prepare();
  const bool same_start = !from_.empty() && lab->from == start_of(from_) && has_start_state(from_);
  if (same_start || has_start_state(profile_)) {
    LAB_CHECK(bootstrap::restore_snapshot(profile_, kStartState));
    return {};
  }
  LAB_CHECK(bootstrap::delete_lab(profile_));
  return prepare();
}

Result<void> Session::prepare() {
  bootstrap::StartOptions o{.profile = profile_,
                            .nodes = std::max(exercise_.nodes, nodes_),
                            .isolated = isolated_,
                            .limits = limits_,
                            .user_namespace = user_namespace_,
                            .initialise = exercise_.cluster,
                            .merge_kubeconfig = merge_kubeconfig_ && exercise_.cluster};
  if (!from_.empty() && has_start_state(from_)) {
    o.from = start_of(from_);
    o.nodes = 0;
    return bootstrap::start_lab(o);  // it has all that is done below
  }
  LAB_CHECK(bootstrap::start_lab(o));
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
    seen_[step][k] = verdict.passed ? Seen{} : std::move(verdict.seen);
    news = news || verdict.passed;
  }
  if (news) advanced_ = now();
  if (news) LAB_CHECK(save());
  return news;
}

std::vector<CheckState> Session::states(std::size_t step) const {
  std::vector<CheckState> out;
  for (std::size_t k = 0; k < passed_[step].size(); ++k)
    out.push_back({.say = exercise_.steps[step].checks[k].say.in(language_),
                   .passed = passed_[step][k],
                   .seen = seen_[step][k].in(language_)});
  return out;
}

Result<void> Session::solve(const std::function<void(const Script&, const bootstrap::ExecResult&)>& say) {
  const std::size_t step = current();
  if (step == exercise_.steps.size()) return {};
  LAB_TRY(auto* lab, evaluator());
  return run_all(*lab, exercise_.steps[step].solve, "the solution of step " + exercise_.steps[step].name, say);
}

Result<void> Session::speak(const std::string& language) {
  if (language == language_) return {};
  language_ = language;
  return save();
}

Result<std::vector<std::string>> sessions() {
  std::vector<std::string> out;
  if (!fs::exists(kDirectory)) return out;
  LAB_TRY(auto names, fs::list_dir(kDirectory));
  for (const auto& name : names)
    if (name.ends_with(kSuffix)) out.push_back(name.substr(0, name.size() - kSuffix.size()));
  return out;
}

Result<void> end_session(const std::string& profile) {
  if (bootstrap::load_profile(profile)) LAB_CHECK(bootstrap::delete_lab(profile));
  return fs::remove_file(session_file(profile));
}

}  // namespace lab::exercises
