// Router: which request is answered by whom. A row is method, path pattern, who may ask, and a handler; what no row
// allows is answered 404, 405, 401 or 403 before any handler runs.
//
//   router.add("POST", "/api/students/{student}/nodes", Who::kStudent, add_node);
//   Task<Result<http::Response>> add_node(Call& call) { ...; co_return accepted(job); }
//
// A handler runs on the connection's loop and must not block: co_await call.service.pool().run(...). It gives an
// answer, or an error, which is sent as a Status; one that has answered by call.writer itself (WebSockets) gives
// answered().
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/server.h"
#include "base/json.h"
#include "labs/classroom/server/seat.h"

namespace lab::classroom {

class Service;

enum class Who {
  kAnyone,   // no cookie is asked for
  kMember,   // any student or teacher of a class
  kStudent,  // the student whom the path names, or a teacher of that class
  kTeacher,
};

struct Call {
  Service& service;
  http::Request& request;
  http::ResponseWriter& writer;
  Visitor visitor;                            // who asks; without a class for Who::kAnyone
  SeatPtr seat;                               // of the {student} in the path; null for paths without
  std::map<std::string, std::string> params;  // what stood in the place of {NAME}, decoded; {rest} spans slashes

  const std::string& param(const std::string& name) const { return params.at(name); }
  std::string query(std::string_view name) const { return std::string(http::Query(request.raw_query()).get(name)); }
  bool is_teacher() const { return !visitor.class_name.empty() && visitor.student.empty(); }
  Result<json::Value> body() const;  // a JSON object; an empty body is {}
};

using RouteHandler = Task<Result<http::Response>> (*)(Call&);

class Router {
 public:
  void add(std::string method, std::string pattern, Who who, RouteHandler handler);

  struct Match {
    Who who = Who::kAnyone;
    RouteHandler handler = nullptr;
    std::map<std::string, std::string> params;
  };
  // NotFound, or MethodNotAllowed where another method has a row.
  Result<Match> find(std::string_view method, std::string_view path) const;

 private:
  struct Row {
    std::string method;
    std::vector<std::string> parts;
    Who who;
    RouteHandler handler;
  };
  std::vector<Row> rows_;
};

http::Response json_answer(const json::Value& value, int status = 200);
http::Response no_content();                      // 204
http::Response accepted(const std::string& job);  // 202 {job}
http::Response answered();                        // the handler has answered by itself
bool is_answered(const http::Response& response);

}  // namespace lab::classroom
