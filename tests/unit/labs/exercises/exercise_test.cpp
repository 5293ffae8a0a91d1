// What an exercise's folder may say and what is said of its mistakes; the bundled course.
#include "labs/exercises/exercise.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "base/fs.h"
#include "labs/exercises/author.h"
#include "labs/exercises/evaluator.h"
#include "labs/exercises/markdown.h"
#include "labs/exercises/seen.h"

namespace lab::exercises {
namespace {

struct ExerciseTest : testing::Test {
  const std::string directory = testing::TempDir() + "lab-exercise-" + std::to_string(::getpid());
  void TearDown() override { EXPECT_TRUE(fs::remove_all(directory)); }
  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(
        fs::make_dirs(fs::join(directory, name.substr(0, name.find('/') == std::string::npos ? 0 : name.find('/')))));
    ASSERT_TRUE(fs::write_file(fs::join(directory, name), text));
  }
};

TEST_F(ExerciseTest, EveryMistakeIsNamedWithItsPlace) {
  write("exercise.yaml",
        "title: {en: T}\n"
        "node: 3\n"
        "steps:\n"
        "- name: one\n"
        "  checks:\n"
        "  - say: {en: S}\n"
        "    object: {apiVersion: apps/v1, kind: Deploiment, where: [{path: .spec.replicas, at-least: many}]}\n"
        "    http: {url: 'http://$node1/', matches: '('}\n"
        "  hint: {en: H}\n");
  auto loaded = load_exercise(directory);
  ASSERT_FALSE(loaded);
  const auto& said = loaded.error().message;
  for (const char* part :
       {"line 2, column 1: node is no field", "\"Deploiment\" is not served in apps/v1", "at-least must be a number",
        "one of object, http and command", "matches is no regular expression", "needs a solution"})
    EXPECT_NE(said.find(part), std::string::npos) << part << "\n" << said;
}

TEST_F(ExerciseTest, TheSkeletonIsFlawless) {
  ASSERT_TRUE(write_skeleton(directory));
  auto e = load_exercise(directory);
  ASSERT_TRUE(e) << e.error().text();
  EXPECT_EQ(lint(*e), std::vector<std::string>());
  EXPECT_EQ(e->languages(), (std::vector<std::string>{"en", "es"}));
  auto again = write_skeleton(directory);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::kAlreadyExists);
}

TEST_F(ExerciseTest, LintComparesTheLanguages) {
  ASSERT_TRUE(write_skeleton(directory));
  write("es/first.md", "# Un paso\n\n```run node1\nkubectl create configmap hola\n```\n");
  auto e = load_exercise(directory);
  ASSERT_TRUE(e);
  auto wrong = lint(*e);
  ASSERT_EQ(wrong.size(), 1u);
  EXPECT_NE(wrong[0].find("commands in es are not those in en"), std::string::npos) << wrong[0];
  ASSERT_TRUE(fs::remove_file(fs::join(directory, "es/first.md")));
  wrong = lint(*e);
  ASSERT_EQ(wrong.size(), 1u);
  EXPECT_NE(wrong[0].find("has no text in es"), std::string::npos) << wrong[0];
}

TEST(Conditions, AllMustHold) {
  auto object = *json::parse(
      R"({"spec": {"replicas": 3, "nodeName": "node2"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})");
  auto one = [&](Where w) { return satisfies(object, {w}); };
  EXPECT_TRUE(one({.path = ".spec.replicas", .is = "3"}));
  EXPECT_TRUE(one({.path = ".spec.replicas", .at_least = 3, .at_most = 3}));
  EXPECT_FALSE(one({.path = ".spec.replicas", .at_least = 4}));
  EXPECT_TRUE(one({.path = ".status.readyReplicas", .at_most = 0})) << "an absent count is 0";
  EXPECT_TRUE(one({.path = ".spec.nodeName", .matches = "^node[0-9]$"}));
  EXPECT_FALSE(one({.path = ".spec.nodeName", .at_least = 1})) << "no number";
  EXPECT_TRUE(one({.path = R"(.status.conditions[?(@.type=="Ready")].status)", .is = "True"}));
  EXPECT_TRUE(one({.path = ".metadata.deletionTimestamp", .exists = false}));
  EXPECT_FALSE(satisfies(object, {{.path = ".spec.replicas", .is = "3"}, {.path = ".spec.nodeName", .is = "node1"}}));
}

// std::regex takes stack for every character; what a student's program says may have millions.
TEST(Check, APatternMeetsATextWithoutEnd) {
  const json::Value object =
      json::Object{{"text", std::string(3'000'000, 'x') + "\nneedle here\n" + std::string(100'000, 'y')}};
  EXPECT_TRUE(satisfies(object, {{.path = ".text", .matches = "needle.*e$"}}));
  EXPECT_TRUE(satisfies(object, {{.path = ".text", .matches = "(x|y)+"}}));
  EXPECT_FALSE(satisfies(object, {{.path = ".text", .matches = "(x|y)*z"}}));
}

std::multiset<char> holes_in(const std::string& text) {
  std::multiset<char> out;
  for (std::size_t i = 1; i + 1 < text.size(); ++i)
    if (text[i - 1] == '{' && text[i + 1] == '}') out.insert(text[i]);
  return out;
}

// What checks saw is told in every language that the course has.
TEST(Seen, NoTextLacksATranslation) {
  std::set<std::string> languages;
  const std::string home = LAB_SOURCE_DIR "/labs/exercises/course";
  for (const auto& name : fs::list_dir(home).value())
    for (auto& language : load_exercise(fs::join(home, name)).value().languages()) languages.insert(language);
  EXPECT_TRUE(languages.contains("en") && languages.contains("es"));
  for (int i = 0; i < static_cast<int>(Saw::kEnd_); ++i) {
    const auto what = static_cast<Saw>(i);
    const auto& words = words_of(what).by_language;
    for (const auto& language : languages) {
      ASSERT_TRUE(words.contains(language)) << i << " in " << language;
      if (what == Saw::kNothing) continue;
      EXPECT_NE(words.at(language), "") << i << " in " << language;
      if (language != "en") EXPECT_NE(words.at(language), words.at("en")) << i << " in " << language;
      EXPECT_EQ(holes_in(words.at(language)), holes_in(words.at("en"))) << i << " in " << language;
    }
  }
}

TEST(Seen, IsToldInTheReadersLanguage) {
  EXPECT_EQ(Seen{}.in("es"), "");
  const Seen pods{Saw::kCountInPlaces, {"2", "3", "5", "pods", "1", "2"}};
  EXPECT_EQ(pods.in("en"), "2 of 3 (5 pods there), in 1 of 2 places");
  EXPECT_EQ(pods.in("es"), "2 de 3 (hay 5 pods), en 1 de 2 lugares");
  EXPECT_EQ(pods.in("fr"), pods.in("en")) << "a folder of one's own may have texts in any language";
  // What was said is no text to be filled.
  EXPECT_EQ((Seen{Saw::kExitCode, {"1", "{0} {1}"}}.in("es")), "código de salida 1: {0} {1}");
  EXPECT_EQ((Seen{Saw::kExitCode, {"1"}}.in("es")), "código de salida 1: ");
}

TEST(Seen, AnErrorBecomesWords) {
  auto error = [](Code code) { return Error{.code = code, .message = "connect: Connection refused"}; };
  EXPECT_EQ(no_answer(error(Code::kUnavailable), "10.0.0.1:80").in("es"), "nadie responde en 10.0.0.1:80");
  EXPECT_EQ(no_answer(error(Code::kTimeout), "10.0.0.1:80").in("es"), "10.0.0.1:80 no responde a tiempo");
  EXPECT_EQ(no_objects(error(Code::kUnavailable)).in("es"), "el servidor de la API no responde");
  EXPECT_EQ(no_command(error(Code::kNotFound), "node9", 10).in("es"), "no hay ningún nodo node9");
  EXPECT_EQ(no_command(error(Code::kTimeout), "node9", 10).in("es"), "la orden no terminó en 10 s");
}

TEST(Markdown, OnATerminalAndElsewhere) {
  const std::string text = "# Title\nSee `kubectl`, **now**.\n```run node2\nkubectl get pods\n```\n";
  EXPECT_EQ(for_terminal(text, false), "Title\nSee kubectl, now.\n    node2:\n    kubectl get pods\n");
  EXPECT_NE(for_terminal(text, true).find("\033[1mTitle\033[0m"), std::string::npos);
  EXPECT_EQ(commands_in(text), (std::vector<std::string>{" node2\nkubectl get pods\n"}));
}

// What the course promises without a lab; that its solutions work is proved by tests/e2e/lab/exercises.py.
TEST(Course, ReadsAndIsTheSameInBothLanguages) {
  const std::string home = LAB_SOURCE_DIR "/labs/exercises/course";
  auto names = fs::list_dir(home);
  ASSERT_TRUE(names);
  EXPECT_GE(names->size(), 1u);
  for (const auto& name : *names) {
    auto e = load_exercise(fs::join(home, name));
    ASSERT_TRUE(e) << e.error().text();
    EXPECT_EQ(e->languages(), (std::vector<std::string>{"en", "es"})) << name;
    for (const auto& wrong : lint(*e)) ADD_FAILURE() << name << ": " << wrong;
    EXPECT_GT(e->minutes, 0) << name;
  }
}

}  // namespace
}  // namespace lab::exercises
