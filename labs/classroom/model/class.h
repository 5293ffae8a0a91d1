// Class: who may use the classroom, in which labs, and until when.
//
// Kept in /var/lib/lab/classes/NAME/class.json (0600: it holds the links' secrets), written as a whole. The server and
// the commands read and write it under lock_class(), so that either may be killed and started again. A student's lab is
// an ordinary profile (student_lab.h makes it); how far a student is stands in that profile's exercise session
// (labs/exercises/session.h). Blocking.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file_lock.h"
#include "base/result.h"

namespace lab::classroom {

inline constexpr const char* kClassesDirectory = "/var/lib/lab/classes";
inline constexpr std::size_t kMostStudents = 200;

// Of one student's lab as a whole; 0: none.
struct Limits {
  std::uint64_t memory_bytes = 0;
  double cpus = 0;
  std::uint64_t pids = 0;
  std::uint64_t disk_bytes = 0;
};

struct Student {
  std::string name;     // "student01": also in links and in the names of files
  std::string title;    // "Ada Lovelace"; empty: the name serves
  std::string secret;   // of the link: 26 characters of base32, 128 random bits
  std::string profile;  // of the student's lab: "CLASS-student01"
};

struct Class {
  std::string name;
  std::string language = "en";
  std::string exercise;  // with which students begin; empty: they choose
  int nodes = 3;         // of a student's lab, when it is made without an exercise or for `exercise`
  int node_limit = 5;    // up to which "add node" works
  Limits limits;
  std::string created;  // RFC 3339
  std::string ends;     // RFC 3339; empty: when it is deleted
  bool paused = false;
  bool ending = false;         // it is being deleted: no lab is made any more
  std::string url;             // under which students reach the page, "http://192.168.1.5:8080"; empty: not known yet
  std::string teacher_secret;  // as Student::secret
  std::vector<Student> students;

  const Student* find(const std::string& student) const;
};

bool is_over(const Class& one);  // its end has come

Result<Class> load_class(const std::string& name);  // NotFound lists what there is
Result<std::vector<std::string>> list_classes();
Result<void> save_class(const Class& one);           // durable before it returns
Result<void> forget_class(const std::string& name);  // with its directory; repeatable
Result<void> check_class_name(const std::string& name);
std::string new_secret();
// "student07" of class "demo", whose lab is "demo-student07".
Student new_student(const std::string& class_name, std::size_t number, std::string title);

// Whom a link's secret lets in. Compared in constant time.
struct Visitor {
  std::string class_name;
  std::string student;  // empty: the teacher
};
std::optional<Visitor> visitor_of(const std::vector<Class>& classes, const std::string& secret);

// One change of a class at a time, among processes. Waited for.
Result<FileLock> lock_class(const std::string& name);

}  // namespace lab::classroom
