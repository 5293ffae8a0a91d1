#include "labs/exercises/author.h"

#include <chrono>
#include <sstream>
#include <thread>

#include "base/fs.h"
#include "bootstrap/local/lab.h"
#include "labs/exercises/session.h"

namespace lab::exercises {

namespace {

constexpr auto kLimit = std::chrono::seconds(120);  // until a solution shows
constexpr auto kPause = std::chrono::milliseconds(500);

constexpr const char* kSkeleton = R"(title: {en: A new exercise, es: Un ejercicio nuevo}
minutes: 10
nodes: 1
steps:
- name: first
  checks:
  - say: {en: The ConfigMap hello exists, es: El ConfigMap hello existe}
    object: {apiVersion: v1, kind: ConfigMap, name: hello}
  hint: {en: kubectl create configmap --help, es: kubectl create configmap --help}
  solve:
  - run: kubectl create configmap hello
)";
constexpr const char* kSkeletonText = R"(# %

```run node1
kubectl create configmap hello
```
)";

void compare_commands(const Exercise& e, const Step& step, const std::vector<std::string>& languages,
                      std::vector<std::string>& out) {
  std::string first_language;
  std::vector<std::string> first;
  for (const auto& language : languages) {
    const std::string path = fs::join(e.directory, language + "/" + step.name + ".md");
    auto text = fs::read_file(path);
    if (!text) {
      out.push_back("step " + step.name + " has no text in " + language + " (" + path + ")");
      continue;
    }
    auto commands = commands_in(*text);
    if (first_language.empty()) {
      first_language = language;
      first = std::move(commands);
    } else if (commands != first) {
      out.push_back("step " + step.name + ": the commands in " + language + " are not those in " + first_language);
    }
  }
}

std::string red_checks(const Session& s, std::size_t step) {
  std::string out;
  for (const auto& state : s.states(step))
    if (!state.passed) out += "\n  " + state.say + " (" + state.seen + ")";
  return out;
}

Result<void> prove_step(Session& s, std::size_t step, const std::function<void(const std::string&)>& say) {
  const auto& it = s.exercise().steps[step];
  LAB_TRY(bool early, s.check());
  if (early) {
    std::string green;
    for (const auto& state : s.states(step))
      if (state.passed) green += "\n  " + state.say;
    return fail(Code::kInvalid, "step " + it.name + ": these checks are green before its solution:" + green);
  }
  LAB_CHECK(s.solve([](const Script&, const bootstrap::ExecResult&) {}));
  const auto end = std::chrono::steady_clock::now() + kLimit;
  while (s.current() == step) {
    LAB_CHECK(s.check());
    if (s.current() != step) break;
    if (std::chrono::steady_clock::now() > end)
      return fail(Code::kTimeout,
                  "step " + it.name + ": these checks are red after its solution:" + red_checks(s, step));
    std::this_thread::sleep_for(kPause);
  }
  say("step " + it.name + ": red before, green after its solution");
  return {};
}

}  // namespace

std::vector<std::string> commands_in(const std::string& markdown) {
  std::vector<std::string> out;
  std::istringstream in(markdown);
  std::string line;
  bool inside = false;
  while (std::getline(in, line)) {
    if (!inside && (line == "```run" || line.starts_with("```run "))) {
      inside = true;
      out.push_back(line.substr(6) + "\n");
    } else if (inside && line.starts_with("```")) {
      inside = false;
    } else if (inside) {
      out.back() += line + "\n";
    }
  }
  return out;
}

std::vector<std::string> lint(const Exercise& e) {
  std::vector<std::string> out;
  const auto languages = e.languages();
  if (languages.empty()) out.push_back("there is no folder with texts, such as en/");
  auto in_all = [&](const Text& text, const std::string& what) {
    for (const auto& language : languages)
      if (!text.by_language.contains(language) || text.by_language.at(language).empty())
        out.push_back(what + " is missing in " + language);
  };
  in_all(e.title, "the title");
  for (const auto& step : e.steps) {
    in_all(step.hint, "step " + step.name + ": the hint");
    for (std::size_t i = 0; i < step.checks.size(); ++i)
      in_all(step.checks[i].say, "step " + step.name + ": the words of check " + std::to_string(i + 1));
    compare_commands(e, step, languages, out);
  }
  return out;
}

Result<void> write_skeleton(const std::string& directory) {
  if (fs::exists(directory)) return fail(Code::kAlreadyExists, directory + " exists already", "choose another name");
  for (const auto& [language, title] :
       {std::pair<std::string, std::string>{"en", "A first step"}, {"es", "Un primer paso"}}) {
    LAB_CHECK(fs::make_dirs(fs::join(directory, language)));
    std::string text = kSkeletonText;
    text.replace(text.find('%'), 1, title);
    LAB_CHECK(fs::write_file(fs::join(directory, language + "/first.md"), text));
  }
  return fs::write_file(fs::join(directory, "exercise.yaml"), kSkeleton);
}

Result<void> prove(const Exercise& exercise, const std::string& profile,
                   const std::function<void(const std::string&)>& say) {
  auto run = [&]() -> Result<void> {
    LAB_TRY(auto session, Session::start(exercise, {.profile = profile, .merge_kubeconfig = false}));
    for (std::size_t i = 0; i < exercise.steps.size(); ++i) LAB_CHECK(prove_step(session, i, say));
    return {};
  };
  auto proved = run();
  auto ended = end_session(profile);
  return proved ? ended : proved;
}

}  // namespace lab::exercises
