#include "join/ssh/host_join.h"

#include <sys/utsname.h>

#include <algorithm>
#include <sstream>
#include <thread>

#include "join/ssh/scripts.h"
#include "join/ssh/shell.h"

namespace lab::join::ssh {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kShort = seconds(60);  // scripts that only look
constexpr auto kLong = seconds(600);  // copying, importing
constexpr auto kFirstPause = milliseconds(250);
constexpr auto kLongestPause = milliseconds(5000);
constexpr std::size_t kLogKept = 64 << 10;

std::string machine() {
  utsname name{};
  ::uname(&name);
  return name.machine;
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

// A script's answer is its last line: what stands before it may be sudo's.
std::string last_line(const std::string& text) {
  const std::string all = trimmed(text);
  return all.substr(all.rfind('\n') + 1);
}

std::string last_lines(const std::string& text, std::size_t most = 400) {
  std::string out = trimmed(text);
  if (out.size() <= most) return out;
  const auto line = out.find('\n', out.size() - most);
  return line == std::string::npos ? "..." + out.substr(out.size() - most) : out.substr(line + 1);
}

bool is_lost(const Error& e) {
  return e.code == Code::kUnavailable;
}

class HostJoin {
 public:
  HostJoin(Target target, const JoinPlan& plan, std::function<void(const std::string&)> on_state)
      : target_(std::move(target)), plan_(plan), on_state_(std::move(on_state)) {}

  HostResult run() {
    const auto begun = Clock::now();
    result_.host = target_.text();
    auto done = first_connection();
    if (done) done = work();
    result_.joined = done.has_value();
    if (!done) {
      result_.step = step_;
      result_.reason = done.error().message;
      result_.fix = done.error().hint;
    }
    result_.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    return std::move(result_);
  }

 private:
  using Step = Result<void> (HostJoin::*)();

  void enter(const std::string& step, const std::string& text) {
    step_ = step;
    on_state_("[" + step + "] " + text);
  }

  Result<void> first_connection() {
    enter("connect", "Connecting");
    LAB_TRY(session_, Session::open(target_, plan_.connect, plan_.person));
    return {};
  }

  Result<void> work() {
    for (Step step : {&HostJoin::look, &HostJoin::copy, &HostJoin::launch, &HostJoin::follow})
      LAB_CHECK(through_cuts(step));
    session_.reset();
    if (!plan_.wait_ready) return {};
    enter("ready", "Waiting for node " + result_.node + " to be Ready");
    return plan_.wait_ready(result_.node, [this](const std::string& s) { on_state_("[ready] " + s); });
  }

  // A step that a broken connection cut is done again over a new one.
  Result<void> through_cuts(Step step) {
    auto since = Clock::now();
    for (;;) {
      auto done = session_ ? (this->*step)() : Result<void>(fail(Code::kUnavailable, "the connection is broken"));
      if (done || !lost_) return done;
      if (progress_ > since) since = progress_;  // it got further than before: patience begins anew
      LAB_CHECK(reconnect(done.error(), since + plan_.patience));
    }
  }

  Result<void> reconnect(const Error& why, Clock::time_point deadline) {
    session_.reset();
    lost_ = false;
    const std::string step = step_;
    for (auto pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
      if (Clock::now() + pause > deadline)
        return fail(
            Code::kTimeout,
            why.message + "; it did not come back within " + std::to_string(plan_.patience.count()) + " s",
            "run the same command again when it is there: what is done is not repeated, and a join that runs goes on");
      on_state_("[" + step + "] The connection broke; connecting again");
      std::this_thread::sleep_for(pause);
      auto session = Session::open(target_, plan_.connect, plan_.person);
      if (session) {
        session_ = std::move(*session);
        ++result_.reconnects;
        return {};
      }
      if (!is_lost(session.error())) return std::unexpected(std::move(session).error());
    }
  }

  // Every command on the host goes through here: it notices when the connection breaks.
  Result<Executed> on_host(const char* script, std::vector<std::string> arguments, Execution execution,
                           bool as_root = true) {
    auto done = session_->execute(shell_command(script, arguments, as_root && !facts_.root), execution);
    if (!done && is_lost(done.error())) {
      lost_ = true;
      session_.reset();
    } else {
      progress_ = Clock::now();
    }
    return done;
  }

  Result<void> look() {
    enter("check", "Looking at the host");
    LAB_TRY(auto done, on_host(kProbeScript, {plan_.bundle->id, plan_.api_host, std::to_string(plan_.api_port)},
                               {.limit = kShort}, false));
    facts_ = parse_facts(done.output);
    LAB_CHECK(judge_facts(facts_, {.arch = machine(),
                                   .release = plan_.bundle->id,
                                   .bytes = plan_.bundle->size(!facts_.images),
                                   .api_host = plan_.api_host,
                                   .api_port = plan_.api_port,
                                   .control_plane = plan_.control_plane}));
    result_.node = plan_.node_name.empty() ? facts_.hostname : plan_.node_name;
    if (plan_.admit) LAB_CHECK(plan_.admit(result_.node, facts_));
    return agree_to_install();
  }

  Result<void> agree_to_install() {
    missing_ = missing_packages(facts_, plan_.control_plane);
    if (missing_.packages.empty()) return {};
    const std::string command = install_command(missing_.package_manager, missing_.packages);
    std::string names;
    for (const auto& p : missing_.packages) names += (names.empty() ? "" : ", ") + p;
    if (command.empty())
      return fail(Code::kNotFound, "it lacks " + names + ", and has no package manager that is known here",
                  "install them there by hand");
    if (plan_.install_missing) return {};
    if (plan_.person.confirm && plan_.person.confirm(target_.text() + " (" + facts_.os + ") lacks " + names +
                                                     ". Install with: " + command + "?"))
      return {};
    return fail(Code::kNotFound, "it lacks " + names, "join again with --install-missing, or run there: " + command);
  }

  Result<void> copy() {
    if (facts_.release == plan_.bundle->id) return {};
    enter("copy", "Copying the program");
    const std::size_t whole = std::max<std::size_t>(plan_.bundle->size(!facts_.images), 1);
    std::size_t told = 0;
    auto on_sent = [&](std::size_t sent) {
      if (const std::size_t tenth = sent * 10 / whole; tenth != told) {
        told = tenth;
        progress_ = Clock::now();
        on_state_("[copy] Copying the program: " + std::to_string(tenth * 10) + "% of " + std::to_string(whole >> 20) +
                  " MiB");
      }
    };
    LAB_TRY(auto done, on_host(kUnpackScript, {plan_.bundle->id},
                               {.input = plan_.bundle->archive(!facts_.images), .on_sent = on_sent, .limit = kLong}));
    if (done.exit_code == 0) {
      result_.copied = true;
      facts_.release = plan_.bundle->id;
      return {};
    }
    if (done.output.find("No space left") != std::string::npos)
      return fail(Code::kIo,
                  std::string("no space left in ") + kReleases + " for " + std::to_string(whole >> 20) + " MiB",
                  "free some there (df -h /opt), then join again");
    return fail(Code::kIo, "the copy failed: " + last_lines(done.output),
                "look there: ls -la " + std::string(kReleases));
  }

  std::string want() const { return plan_.cluster + " as node " + result_.node; }

  Result<void> launch() {
    enter("launch", "Starting the join");
    JobOptions job{.release = plan_.bundle->id,
                   .install = missing_.packages,
                   .package_manager = missing_.package_manager,
                   .join_arguments = plan_.join_arguments};
    if (!plan_.node_name.empty()) job.join_arguments.insert(job.join_arguments.end(), {"--node-name", plan_.node_name});
    if (!facts_.source.empty()) job.join_arguments.insert(job.join_arguments.end(), {"--node-ip", facts_.source});
    const std::string script = job_script(job);
    LAB_TRY(auto done, on_host(kLaunchScript, {want()}, {.input = {script}, .limit = kShort}));
    const std::string said = last_line(done.output);
    if (done.exit_code == 0 && (said == "started" || said == "attached")) return {};
    if (said.starts_with("busy "))
      return fail(Code::kAlreadyExists, "another join runs there: " + said.substr(5),
                  "wait until it has ended (there: tail -f " + std::string(kJobDirectory) + "/log)");
    return fail(Code::kIo, "the join could not be started: " + last_lines(done.output),
                "is /var/lib writable there, and not full?");
  }

  // The log as it grows, from where it was left; when it ends, the verdict.
  Result<void> follow() {
    for (;;) {
      std::string before;
      bool in_log = false;
      auto on_output = [&](std::string_view said) {
        progress_ = Clock::now();
        if (!in_log) {
          before += said;
          const auto mark = before.find(kLogMark);
          if (mark == std::string::npos) return;
          in_log = true;
          before.erase(0, mark + std::char_traits<char>::length(kLogMark));
          said = before;
        }
        offset_ += said.size();
        hear(said);
      };
      LAB_TRY(auto followed, on_host(kFollowScript, {std::to_string(offset_)}, {.on_output = on_output}));
      LAB_TRY(auto asked, on_host(kVerdictScript, {}, {.limit = kShort}));
      const std::string said = last_line(asked.output);
      if (said == "running") continue;
      if (!said.starts_with("exit "))
        return fail(Code::kInternal,
                    "the join was killed on the host: " + (said.empty() ? "no trace of it is left" : said),
                    "run the same command again: it completes what is missing");
      result_.exit_code = std::atoi(said.c_str() + 5);
      return verdict();
    }
  }

  void hear(std::string_view said) {
    log_ += said;
    if (log_.size() > kLogKept) log_.erase(0, log_.size() - kLogKept);
    line_ += said;
    for (auto end = line_.find('\n'); end != std::string::npos; end = line_.find('\n')) {
      if (line_.starts_with('[')) on_state_(line_.substr(0, end));
      line_.erase(0, end + 1);
    }
  }

  Result<void> verdict() {
    if (result_.exit_code == 0) return {};
    auto said = read_log(log_);
    if (!said.step.empty()) step_ = said.step;
    if (result_.exit_code == kInstallFailed)
      return fail(Code::kIo, "the package manager failed: " + last_lines(log_, 200),
                  "install by hand there, then join again");
    if (said.reason.empty())
      said.reason = "lab join ended with exit code " + std::to_string(result_.exit_code) + ": " + last_lines(log_, 200);
    if (said.fix.empty()) said.fix = "see the whole log there: " + std::string(kJobDirectory) + "/log";
    return fail(Code::kInternal, said.reason, said.fix);
  }

  Target target_;
  const JoinPlan& plan_;
  std::function<void(const std::string&)> on_state_;
  std::unique_ptr<Session> session_;
  HostFacts facts_;
  Missing missing_;
  HostResult result_;
  std::string step_ = "connect";
  std::string log_, line_;
  std::size_t offset_ = 0;  // of the remote log
  bool lost_ = false;       // the last command ended with the connection
  Clock::time_point progress_ = Clock::now();
};

}  // namespace

LogVerdict read_log(std::string_view log) {
  LogVerdict out;
  std::istringstream in{std::string(log)};
  std::string line;
  bool in_reason = false;
  while (std::getline(in, line)) {
    if (line.starts_with("[") && line.find(']') != std::string::npos) out.step = line.substr(1, line.find(']') - 1);
    if (line.starts_with("error: ")) {
      out.reason = line.substr(7);
      out.fix.clear();
      in_reason = true;
    } else if (line.starts_with("  what to do: ")) {
      out.fix = line.substr(14);
      in_reason = false;
    } else if (in_reason) {
      out.reason += "\n" + line;
    }
  }
  out.reason = trimmed(out.reason);
  return out;
}

HostResult join_host(const Target& target, const JoinPlan& plan,
                     const std::function<void(const std::string&)>& on_state) {
  return HostJoin(target, plan, on_state).run();
}

}  // namespace lab::join::ssh
