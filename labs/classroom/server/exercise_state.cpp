#include "labs/classroom/server/exercise_state.h"

namespace lab::classroom {

std::vector<std::string> texts_of(const exercises::Session& session) {
  std::vector<std::string> out;
  for (const auto& step : session.exercise().steps) {
    auto text = session.exercise().text(step, session.language());
    out.push_back(text ? std::move(*text) : text.error().text());
  }
  return out;
}

json::Value exercise_state(const exercises::Session& session, const std::vector<std::string>& texts,
                           const exercises::Seen& trouble) {
  const auto& exercise = session.exercise();
  const std::size_t current = session.current();
  json::Array steps;
  for (std::size_t i = 0; i < exercise.steps.size(); ++i) {
    json::Array checks;
    for (const auto& check : session.states(i)) {
      const bool troubled = i == current && !check.passed && trouble.what != exercises::Saw::kNothing;
      checks.push_back(json::Object{{"say", check.say},
                                    {"passed", check.passed},
                                    {"seen", troubled ? trouble.in(session.language()) : check.seen}});
    }
    steps.push_back(json::Object{{"name", exercise.steps[i].name},
                                 {"text", i < texts.size() ? texts[i] : ""},
                                 {"done", i < current},
                                 {"checks", std::move(checks)}});
  }
  return json::Object{{"name", exercise.name},
                      {"title", exercise.title.in(session.language())},
                      {"language", session.language()},
                      {"minutes", exercise.minutes},
                      {"current", current},
                      {"done", session.done()},
                      {"error", ""},
                      {"steps", std::move(steps)}};
}

json::Value broken_exercise(const std::string& name, const std::string& error) {
  return json::Object{{"name", name}, {"title", name}, {"language", "en"}, {"minutes", 0},
                      {"current", 0}, {"done", false}, {"error", error},   {"steps", json::Array()}};
}

}  // namespace lab::classroom
