#include "labs/classroom/server/teacher.h"

#include <algorithm>
#include <chrono>

#include "base/io/scope.h"
#include "base/io/sync.h"
#include "labs/classroom/model/cards.h"
#include "labs/classroom/model/progress.h"
#include "labs/classroom/model/student_lab.h"
#include "labs/classroom/server/service.h"
#include "labs/terminal/client.h"

namespace lab::classroom {

namespace {

using Answer = Result<http::Response>;

constexpr std::int64_t kMostMinutes = 7 * 24 * 60;
constexpr std::size_t kLongestCommand = 4096;  // bytes
constexpr int kColumns = 80, kRows = 24;       // of a terminal that nobody looks at yet

Result<Class> class_of(const Call& call) {
  auto one = call.service.find_class(call.visitor.class_name);
  if (!one) return fail(Code::kNotFound, "the class \"" + call.visitor.class_name + "\" has gone");
  return std::move(*one);
}

// The seats that the body's "students" names; all, without it.
Result<std::vector<SeatPtr>> chosen(Call& call, const json::Value& body) {
  auto all = call.service.seats(call.visitor.class_name);
  if (!json::has(body, "students")) return all;
  std::vector<SeatPtr> out;
  for (const auto& name : json::list(body, "students")) {
    const auto found = std::ranges::find_if(all, [&](const SeatPtr& s) { return s->student == json::as_str(name); });
    if (found == all.end())
      return fail(Code::kNotFound, "there is no student \"" + std::string(json::as_str(name)) + "\" in this class");
    out.push_back(*found);
  }
  return out;
}

Task<Answer> show_class(Call& call) {
  co_return json_answer(call.service.class_state(call.visitor.class_name));
}

Task<Answer> extend(Call& call) {
  LAB_CO_TRY(auto body, call.body());
  const auto minutes = json::num(body, "minutes");
  if (minutes < 1 || minutes > kMostMinutes)
    co_return fail(Code::kBadRequest, "minutes must be 1 to " + std::to_string(kMostMinutes));
  auto ends = co_await call.service.pool().run([&service = call.service, name = call.visitor.class_name, minutes] {
    auto done = extend_class(name, std::chrono::minutes(minutes));
    service.reload();
    return done;
  });
  for (const auto& seat : call.service.seats(call.visitor.class_name)) call.service.look_at(seat);
  LAB_CO_TRY(auto text, std::move(ends));
  co_return json_answer(json::Object{{"ends", text}});
}

// Of the whole class; answered when the labs stand, or go on.
Task<Answer> stand(Call& call, Result<void> (*act)(const std::string&)) {
  auto done = co_await call.service.pool().run([&service = call.service, name = call.visitor.class_name, act] {
    auto result = act(name);
    service.reload();
    return result;
  });
  for (const auto& seat : call.service.seats(call.visitor.class_name)) call.service.look_at(seat);
  LAB_CO_CHECK(std::move(done));
  co_return accepted("");
}
Task<Answer> pause(Call& call) {
  return stand(call, pause_class);
}
Task<Answer> resume(Call& call) {
  return stand(call, resume_class);
}

// Students whose lab is at work already are told of; the others begin.
Task<Answer> reset(Call& call) {
  LAB_CO_TRY(auto body, call.body());
  LAB_CO_TRY(auto one, class_of(call));
  if (one.paused) co_return fail(Code::kConflict, "the class is paused", "let it go on first");
  LAB_CO_TRY(auto seats, chosen(call, body));
  json::Array begun;
  json::Object refused;
  for (const auto& seat : seats) {
    if (auto job = call.service.start_job(seat, {"reset"}))
      begun.emplace_back(seat->student);
    else
      refused[seat->student] = job.error().message;
  }
  co_return json_answer(json::Object{{"students", std::move(begun)}, {"refused", std::move(refused)}}, 202);
}

// Into the first shell of that node that runs; into a new one where there is none.
Task<Result<void>> type_into(std::string profile, std::string node, std::string text) {
  const terminal::Terminals terminals(std::move(profile));
  LAB_CO_TRY(auto all, co_await terminals.list());
  const auto open = std::ranges::find_if(all, [&](const auto& t) { return t.node == node && !t.exited; });
  std::string id = open == all.end() ? "" : open->id;
  if (id.empty()) {
    LAB_CO_TRY(id, co_await terminals.open(node, kColumns, kRows));
  }
  co_return co_await terminals.type(id, text);
}

Result<std::string> command_in(const json::Value& body) {
  std::string text(json::str(body, "command"));
  while (text.ends_with('\n')) text.pop_back();
  const bool plain = std::ranges::none_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
  });
  if (text.empty() || text.size() > kLongestCommand || !plain)
    return fail(Code::kBadRequest, "command must be text of 1 to " + std::to_string(kLongestCommand) +
                                       " bytes without control characters");
  return text + "\n";
}

Task<Answer> broadcast(Call& call) {
  LAB_CO_TRY(auto body, call.body());
  LAB_CO_TRY(auto text, command_in(body));
  LAB_CO_TRY(auto seats, chosen(call, body));
  const std::string node(json::has(body, "node") ? json::str(body, "node") : "node1");
  std::erase_if(seats, [](const SeatPtr& s) { return json::as_str(s->part("lab")) != "running"; });
  std::size_t open = seats.size();
  std::int64_t typed = 0;
  json::Object failed;
  Event ended;
  Scope scope(*Loop::current());  // all at the same time, and all on this thread
  for (const auto& seat : seats)
    scope.spawn("broadcast", [&, seat]() -> Task<void> {
      if (auto done = co_await type_into(seat->profile, node, text))
        ++typed;
      else
        failed[seat->student] = done.error().message;
      if (--open == 0) ended.notify();
    });
  while (open > 0) co_await ended.wait();
  co_await scope.close();
  co_return json_answer(json::Object{{"students", typed}, {"failed", std::move(failed)}});
}

http::Response file_answer(std::string text, const std::string& type, const std::string& name) {
  return {.headers = {{"Content-Type", type}, {"Content-Disposition", "attachment; filename=\"" + name + "\""}},
          .body = {http::buffer(std::move(text))}};
}

Task<Answer> export_progress(Call& call) {
  const std::string asked = call.query("format"), format = asked.empty() ? "csv" : asked;
  if (format != "csv" && format != "json") co_return fail(Code::kBadRequest, "format must be csv or json");
  LAB_CO_TRY(auto one, class_of(call));
  const std::string name = one.name + "-progress." + format;
  auto text = co_await call.service.pool().run([one = std::move(one), format] {
    const auto now = std::chrono::system_clock::now();
    const auto rows = progress_of(one, now);
    return format == "csv" ? progress_csv(rows) : json::dump_pretty(progress_export(one, rows, now)) + "\n";
  });
  co_return file_answer(std::move(text), format == "csv" ? "text/csv; charset=utf-8" : "application/json", name);
}

// Links begin as the class says, or as the teacher's own browser reached this server.
Task<Answer> cards(Call& call) {
  LAB_CO_TRY(auto one, class_of(call));
  const std::string host(call.request.headers.get("Host"));
  LAB_CO_TRY(
      auto page,
      cards_html(one, one.url.empty() ? (call.service.tls() ? "https://" : "http://") + host : one.url, one.language));
  co_return http::Response{.headers = {{"Content-Type", "text/html; charset=utf-8"},
                                       {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"}},
                           .body = {http::buffer(std::move(page))}};
}

}  // namespace

void add_teacher_routes(Router& router) {
  router.add("GET", "/api/class", Who::kTeacher, show_class);
  router.add("POST", "/api/class/extend", Who::kTeacher, extend);
  router.add("POST", "/api/class/pause", Who::kTeacher, pause);
  router.add("POST", "/api/class/resume", Who::kTeacher, resume);
  router.add("POST", "/api/class/reset", Who::kTeacher, reset);
  router.add("POST", "/api/class/broadcast", Who::kTeacher, broadcast);
  router.add("GET", "/api/class/export", Who::kTeacher, export_progress);
  router.add("GET", "/api/class/cards", Who::kTeacher, cards);
}

}  // namespace lab::classroom
