// What a student asks for: the lab, its nodes, exercises, files.
#include <algorithm>

#include "labs/classroom/server/node_ports.h"
#include "labs/classroom/server/routes.h"
#include "labs/classroom/server/upload.h"
#include "labs/exercises/session.h"

namespace lab::classroom {

namespace {

Task<Result<http::Response>> me(Call& call) {
  const auto one = call.service.find_class(call.visitor.class_name);
  if (!one) co_return fail(Code::kNotFound, "there is no such class any more");
  const Student* student = one->find(call.visitor.student);
  const std::string title = !student ? "" : student->title.empty() ? student->name : student->title;
  co_return json_answer(json::Object{{"role", student ? "student" : "teacher"},
                                     {"class", one->name},
                                     {"student", call.visitor.student},
                                     {"title", title},
                                     {"language", one->language},
                                     {"ends", one->ends},
                                     {"paused", one->paused}});
}

// What students of the class may begin: the course, and the class's own exercise where it lies elsewhere.
Result<std::vector<exercises::Exercise>> course_of(const std::string& class_exercise) {
  LAB_TRY(auto all, exercises::course());
  if (class_exercise.starts_with('/'))
    if (auto own = exercises::find_exercise(class_exercise)) all.insert(all.begin(), std::move(*own));
  return all;
}

std::string exercise_of(const Call& call) {
  const auto one = call.service.find_class(call.visitor.class_name);
  return one ? one->exercise : "";
}

Task<Result<http::Response>> course(Call& call) {
  const auto own = exercise_of(call);
  LAB_CO_TRY(auto all, co_await call.service.pool().run([own] { return course_of(own); }));
  json::Array out;
  for (const auto& e : all) {
    json::Object title;
    for (const auto& [language, text] : e.title.by_language) title[language] = text;
    out.push_back(
        json::Object{{"name", e.name}, {"title", std::move(title)}, {"minutes", e.minutes}, {"nodes", e.nodes}});
  }
  co_return json_answer(out);
}

Task<Result<http::Response>> state(Call& call) {
  auto text = for_host(json::dump(call.seat->state()), call.request.headers.get("host"), call.service.tls());
  co_return http::Response{.headers = {{"Content-Type", "application/json"}}, .body = {http::buffer(std::move(text))}};
}

Result<http::Response> begin(Call& call, const std::vector<std::string>& what) {
  call.seat->touch();
  LAB_TRY(const auto id, call.service.start_job(call.seat, what));
  return accepted(id);
}

Task<Result<http::Response>> start(Call& call) {
  co_return begin(call, {"start"});
}

Task<Result<http::Response>> add_node(Call& call) {
  const auto one = call.service.find_class(call.visitor.class_name);
  const auto nodes = json::as_array(call.seat->part("nodes")).size();
  if (nodes == 0) co_return fail(Code::kConflict, "there is no lab yet", "start it first");
  if (one && nodes >= static_cast<std::size_t>(std::max(one->node_limit, 0)))
    co_return fail(Code::kConflict, "the lab has " + std::to_string(nodes) + " nodes, which is the most in this class");
  co_return begin(call, {"add-node"});
}

Task<Result<http::Response>> delete_node(Call& call) {
  const auto nodes = call.seat->part("nodes");
  const auto& name = call.param("node");
  if (!std::ranges::any_of(json::as_array(nodes), [&](const auto& n) { return json::str(n, "name") == name; }))
    co_return fail(Code::kNotFound, "there is no node \"" + name + "\" in this lab");
  co_return begin(call, {"delete-node", name});
}

// By name alone: the library would take a path as well.
Result<exercises::Exercise> of_course(const std::string& name, const std::string& class_exercise) {
  LAB_TRY(auto all, course_of(class_exercise));
  for (auto& e : all)
    if (e.name == name) return std::move(e);
  return fail(Code::kNotFound, "there is no exercise \"" + name + "\"", "GET /api/course lists them");
}

Task<Result<http::Response>> begin_exercise(Call& call) {
  LAB_CO_TRY(const auto body, call.body());
  const std::string name(json::str(body, "name"));
  const auto own = exercise_of(call);
  LAB_CO_TRY(const auto exercise, co_await call.service.pool().run([name, own] { return of_course(name, own); }));
  const auto one = call.service.find_class(call.visitor.class_name);
  std::string language(json::str(body, "language"));
  const auto languages = exercise.languages();
  if (language.empty() && one) language = one->language;
  if (std::ranges::find(languages, language) == languages.end())
    co_return fail(Code::kInvalid, "exercise " + name + " has no texts in the language \"" + language + "\"");
  const bool elsewhere = own.starts_with('/') && exercise.directory == own;
  co_return begin(call, {"exercise", elsewhere ? own : name, language});
}

Task<Result<http::Response>> reset_exercise(Call& call) {
  if (!json::has(call.seat->part("exercise"), "name")) co_return fail(Code::kConflict, "no exercise was begun");
  co_return begin(call, {"reset"});
}

Result<std::string> hint_of(const std::string& profile) {
  LAB_TRY(const auto session, exercises::Session::load(profile));
  if (session.done()) return std::string();
  return session.exercise().steps[session.current()].hint.in(session.language());
}

Task<Result<http::Response>> hint(Call& call) {
  call.seat->touch();
  const std::string profile = call.seat->profile;
  LAB_CO_TRY(auto text, co_await call.service.pool().run([profile] { return hint_of(profile); }));
  co_return json_answer(json::Object{{"text", std::move(text)}});
}

Task<Result<http::Response>> put_file(Call& call) {
  call.seat->touch();
  auto done = co_await call.service.pool().run(
      [profile = call.seat->profile, node = call.query("node"), path = call.param("rest"), &body = call.request.body] {
        return upload(profile, node, path, body);
      });
  if (!done) co_return std::unexpected(std::move(done).error());
  co_return no_content();
}

}  // namespace

void add_common_routes(Router& router) {
  router.add("GET", "/api/me", Who::kMember, me);
  router.add("GET", "/api/course", Who::kMember, course);
  router.add("GET", "/api/events", Who::kMember, events);
}

void add_student_routes(Router& router) {
  const std::string s = "/api/students/{student}";
  router.add("GET", s, Who::kStudent, state);
  router.add("POST", s + "/start", Who::kStudent, start);
  router.add("POST", s + "/nodes", Who::kStudent, add_node);
  router.add("DELETE", s + "/nodes/{node}", Who::kStudent, delete_node);
  router.add("POST", s + "/exercise", Who::kStudent, begin_exercise);
  router.add("POST", s + "/exercise/reset", Who::kStudent, reset_exercise);
  router.add("POST", s + "/exercise/hint", Who::kStudent, hint);
  router.add("PUT", s + "/files/{rest}", Who::kStudent, put_file);
}

}  // namespace lab::classroom
