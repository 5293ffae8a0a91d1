// Service: the classroom's state in one process: the classes it serves, a seat for every student with what keeps its
// state current, jobs, and who is let in. HTTP stands on top of it (routes, server.h).
//
// All calls from any thread. Those that say "blocking" read files and wait for locks: co_await pool().run(...).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/io/pool.h"
#include "labs/classroom/model/class.h"
#include "labs/classroom/server/jobs.h"
#include "labs/classroom/server/seat.h"

namespace lab::classroom {

struct ServiceOptions {
  std::string only_class;  // empty: all, also those that are made while it runs
  int ports_port = 0;      // of the second port, for links to what runs in labs
  bool tls = false;        // both ports are served over TLS
};

class Service {
 public:
  // Blocking. Conflict when another process serves one of the classes.
  static Result<std::unique_ptr<Service>> open(ServiceOptions options);
  ~Service();  // ends watching and jobs; labs, terminals and sessions go on

  // As of the last look at the disk, which is taken when a file changes.
  std::vector<Class> classes() const;
  std::optional<Class> find_class(const std::string& name) const;
  // Takes in what stands on disk now. Blocking.
  void reload();
  // Changes a class under its lock: reads it, applies, saves, and tells the pages. Blocking.
  Result<Class> change(const std::string& name, const std::function<Result<void>(Class&)>& apply);

  SeatPtr seat(const std::string& class_name, const std::string& student) const;  // null: none
  std::vector<SeatPtr> seats(const std::string& class_name) const;                // in the class's order
  // {name, language, exercise, ends, paused, students: [row]}; null for a class that is not served.
  json::Value class_state(const std::string& class_name) const;
  // What teachers' pages see: frames {"type": "class", ...}. Null for a class that is not served.
  std::shared_ptr<Topic> class_topic(const std::string& class_name) const;
  // Words to be shown on all pages of a class, or of one student.
  void notice(const std::string& class_name, const std::string& student, const std::string& text);
  std::shared_ptr<Topic> notices(const std::string& class_name, const std::string& student) const;

  // Looks at a lab now (its nodes, whether it runs) rather than at the next turn. Does not wait for it.
  void look_at(const SeatPtr& seat);
  // Jobs of the seat's lab, by what labs/classroom/model/student_lab.h calls them: {"start"}, {"exercise", NAME}.
  // The id; Conflict while another one waits or runs.
  Result<std::string> start_job(const SeatPtr& seat, const std::vector<std::string>& what);
  Jobs& jobs();
  Pool& pool();  // for what blocks
  Loop& loop();  // one that lives as long as the service, for what no connection owns

  // Who a cookie's value admits.
  std::optional<Visitor> admitted(const std::string& cookie) const;
  // Who a link's secret admits, and the cookie that stands for it.
  std::optional<Visitor> visitor(const std::string& secret) const;
  std::optional<std::string> cookie_for(const Visitor& visitor) const;

  bool tls() const;
  // Why a student may not do anything now; empty: may. ("the class is paused")
  std::string closed_to_students(const std::string& class_name) const;

 private:
  struct Impl;
  explicit Service(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::classroom
