#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>

#include "bootstrap/local/lab.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "labs/exercises/author.h"
#include "labs/exercises/feed.h"
#include "labs/exercises/markdown.h"
#include "labs/exercises/session.h"

namespace lab::cli {

namespace {

using exercises::Session;

constexpr auto kLook = std::chrono::milliseconds(1000);   // how often commands and pages are asked while watching

const Option kProfile{.name = "profile", .value = "NAME", .help = "The exercise's lab", .fallback = exercises::kDefaultProfile, .letter = "p"};
const Option kLanguage{.name = "language", .value = "LANG", .help = "en or es; default: that of LANG", .letter = "l", .choices = {"en", "es"}};
const Argument kWhich{"EXERCISE", "its number, its name, or a directory"};

std::string language_of(const Invocation& in) {
  if (in.has("language")) return in.get("language");
  const char* lang = std::getenv("LANG");
  return lang && std::string_view(lang).starts_with("es") ? "es" : "en";
}

bool coloured() { return ::isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR"); }

Result<void> list(const Invocation& in) {
  LAB_TRY(auto all, exercises::course());
  std::printf("%-24s %-6s %-6s %s\n", "EXERCISE", "NODES", "TIME", "TITLE");
  for (const auto& e : all)
    std::printf("%-24s %-6d %-6s %s\n", e.name.c_str(), e.nodes, (std::to_string(e.minutes) + "m").c_str(), e.title.in(language_of(in)).c_str());
  return {};
}

Result<void> show_step(const Session& s) {
  const std::size_t step = s.current();
  const auto& e = s.exercise();
  if (s.done()) {
    std::printf("All %zu steps of %s are done.\n", e.steps.size(), e.name.c_str());
    return {};
  }
  LAB_TRY(auto text, e.text(e.steps[step], s.language()));
  std::printf("[%zu/%zu]\n%s\n", step + 1, e.steps.size(), exercises::for_terminal(text, coloured()).c_str());
  return {};
}

void show_checks(const Session& s, std::size_t step) {
  const bool colour = coloured();
  for (const auto& c : s.states(step)) {
    const char* mark = c.passed ? (colour ? "\033[32m✓\033[0m" : "✓") : (colour ? "\033[31m✗\033[0m" : "✗");
    std::printf("  %s %s%s\n", mark, c.say.c_str(), c.seen.empty() ? "" : (" - " + c.seen).c_str());
  }
}

Result<void> start(const Invocation& in) {
  LAB_TRY(auto exercise, exercises::find_exercise(in.argument(0)));
  LAB_TRY(auto session, Session::start(exercise, {.profile = in.get("profile"), .language = language_of(in), .merge_kubeconfig = !in.flag("no-kubeconfig")}));
  std::printf("\nExercise %s: %s\nA node's shell: lab shell -p %s node1      See how far you are: lab exercise check\n\n", exercise.name.c_str(),
              exercise.title.in(session.language()).c_str(), session.profile().c_str());
  return show_step(session);
}

// Looks until the exercise is done: at every change of an object, and at commands and pages now and then.
Result<void> watch(Session& s) {
  std::unique_ptr<exercises::Feed> feed;
  std::size_t step = s.exercise().steps.size();
  LAB_TRY(auto profile, bootstrap::load_profile(s.profile()));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  while (!s.done()) {
    if (s.current() != step) feed.reset();
    step = s.current();
    if (auto text = bootstrap::admin_kubeconfig(profile, *driver); !feed && text)
      if (auto config = client::parse_kubeconfig(*text)) feed = std::make_unique<exercises::Feed>(*config, s.exercise().steps[step].checks, profile.network);
    LAB_TRY(bool news, s.check());
    if (news) show_checks(s, step);
    if (s.current() != step) LAB_CHECK(show_step(s));
    std::fflush(stdout);
    if (feed)
      feed->wait(kLook);
    else
      ::usleep(std::chrono::microseconds(kLook).count());
  }
  return {};
}

Result<void> check(const Invocation& in) {
  LAB_TRY(auto s, Session::load(in.get("profile")));
  if (in.flag("watch")) return watch(s);
  const std::size_t step = s.current();
  LAB_CHECK(s.check());
  for (std::size_t i = 0; i < s.exercise().steps.size(); ++i) {
    const bool past = i < s.current();
    std::printf("%zu. %s%s\n", i + 1, s.exercise().steps[i].name.c_str(), past ? "  done" : "");
    if (i == step) show_checks(s, i);
  }
  if (s.current() != step) {
    std::printf("\n");
    return show_step(s);
  }
  return {};
}

Result<void> show(const Invocation& in) {
  LAB_TRY(auto s, Session::load(in.get("profile")));
  return show_step(s);
}

Result<void> hint(const Invocation& in) {
  LAB_TRY(auto s, Session::load(in.get("profile")));
  if (s.done()) return show_step(s);
  std::printf("%s\n", s.exercise().steps[s.current()].hint.in(s.language()).c_str());
  return {};
}

Result<void> solve_one(Session& s) {
  const std::size_t step = s.current();
  LAB_CHECK(s.solve([](const exercises::Script& script, const bootstrap::ExecResult& done) {
    std::printf("%s# %s%s%s%s", script.node.c_str(), script.run.c_str(), script.run.ends_with('\n') ? "" : "\n", done.out.c_str(), done.err.c_str());
  }));
  LAB_CHECK(bootstrap::wait_until(std::chrono::seconds(120), "the checks of step " + s.exercise().steps[step].name, "lab exercise check -p " + s.profile(), [&]() -> Result<void> {
    LAB_CHECK(s.check());
    if (s.current() != step) return {};
    std::string red;
    for (const auto& c : s.states(step))
      if (!c.passed) red += (red.empty() ? "" : "; ") + c.say + " (" + c.seen + ")";
    return fail(Code::kUnavailable, red);
  }));
  show_checks(s, step);
  return {};
}

Result<void> solve(const Invocation& in) {
  LAB_TRY(auto s, Session::load(in.get("profile")));
  do {
    if (!s.done()) LAB_CHECK(solve_one(s));
  } while (in.flag("all") && !s.done());
  return show_step(s);
}

Result<void> reset(const Invocation& in) {
  LAB_TRY(auto s, Session::load(in.get("profile")));
  LAB_CHECK(s.reset());
  return show_step(s);
}

Result<void> lint(const Invocation& in) {
  LAB_TRY(auto e, exercises::find_exercise(in.argument(0)));
  const auto wrong = exercises::lint(e);
  for (const auto& w : wrong) std::fprintf(stderr, "%s: %s\n", e.name.c_str(), w.c_str());
  if (!wrong.empty()) return fail(Code::kInvalid, e.name + " has " + std::to_string(wrong.size()) + " mistakes");
  std::printf("%s: nothing to complain of\n", e.name.c_str());
  return {};
}

Result<void> test(const Invocation& in) {
  LAB_CHECK(lint(in));
  LAB_TRY(auto e, exercises::find_exercise(in.argument(0)));
  return exercises::prove(e, in.get("profile"), [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  });
}

}  // namespace

Commands exercise_commands() {
  const Option no_kubeconfig{.name = "no-kubeconfig", .help = "Do not touch the user's kubeconfig"};
  return {
      {.path = "exercise", .summary = "Learn Kubernetes by exercises that check themselves"},
      {.path = "exercise list", .summary = "List the exercises", .options = {kLanguage}, .run = [](const Invocation& in) { return finish(list(in)); }},
      {.path = "exercise start", .summary = "Start one in a lab of its own", .details = "As in: lab exercise start 4", .arguments = {kWhich},
       .options = {kProfile, kLanguage, no_kubeconfig}, .run = [](const Invocation& in) { return finish(start(in)); }},
      {.path = "exercise show", .summary = "Show the text of the step in hand", .options = {kProfile}, .run = [](const Invocation& in) { return finish(show(in)); }},
      {.path = "exercise check", .summary = "Look how far it is done",
       .options = {kProfile, {.name = "watch", .help = "Go on looking until all is done", .letter = "w"}}, .run = [](const Invocation& in) { return finish(check(in)); }},
      {.path = "exercise hint", .summary = "Show a hint for the step in hand", .options = {kProfile}, .run = [](const Invocation& in) { return finish(hint(in)); }},
      {.path = "exercise solve", .summary = "Do the step in hand and show how",
       .options = {kProfile, {.name = "all", .help = "Do all that are left"}}, .run = [](const Invocation& in) { return finish(solve(in)); }},
      {.path = "exercise reset", .summary = "Go back to the exercise's beginning", .options = {kProfile}, .run = [](const Invocation& in) { return finish(reset(in)); }},
      {.path = "exercise stop", .summary = "End the exercise and delete its lab", .options = {kProfile},
       .run = [](const Invocation& in) { return finish(exercises::end_session(in.get("profile"))); }},
      {.path = "exercise new", .summary = "Write the skeleton of an exercise", .arguments = {{"DIRECTORY", "a folder that does not exist"}},
       .run = [](const Invocation& in) { return finish(exercises::write_skeleton(in.argument(0))); }},
      {.path = "exercise lint", .summary = "Look for mistakes in an exercise", .arguments = {kWhich}, .run = [](const Invocation& in) { return finish(lint(in)); }},
      {.path = "exercise test", .summary = "Run an exercise by its own solutions: red before, green after", .arguments = {kWhich},
       .options = {{.name = "profile", .value = "NAME", .help = "The lab to make for it", .fallback = "exercise-test", .letter = "p"}},
       .run = [](const Invocation& in) { return finish(test(in)); }},
  };
}

}  // namespace lab::cli
