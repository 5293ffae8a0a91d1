#include "labs/classroom/model/class.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/crypto/digest.h"
#include "base/fs.h"
#include "base/json.h"
#include "orchestrator/api/time.h"

namespace lab::classroom {

namespace {

constexpr const char* kLockDirectory = "/run/lab";
constexpr std::size_t kLongestName = 16;  // a profile's name holds it, the student's and a hyphen
constexpr std::size_t kSecretBytes = 16;

std::string directory_of(const std::string& name) {
  return fs::join(kClassesDirectory, name);
}
std::string file_of(const std::string& name) {
  return fs::join(directory_of(name), "class.json");
}

// RFC 4648 section 6, in small letters and without padding: nothing in it is mistaken when it is typed from paper.
std::string base32(std::string_view bytes) {
  static constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
  std::string out;
  unsigned held = 0;
  int bits = 0;
  for (const char c : bytes) {
    held = (held << 8) | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 5; bits -= 5) out += kAlphabet[(held >> (bits - 5)) & 31];
    held &= (1u << bits) - 1;
  }
  if (bits > 0) out += kAlphabet[(held << (5 - bits)) & 31];
  return out;
}

double number(const json::Value& v) {
  return v.is_double() ? v.get_double() : static_cast<double>(json::as_int(v));
}
std::uint64_t size(const json::Value& v, std::string_view key) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(json::num(v, key), 0));
}

json::Value encode(const Class& c) {
  json::Array students;
  for (const auto& s : c.students)
    students.push_back(
        json::Object{{"name", s.name}, {"title", s.title}, {"secret", s.secret}, {"profile", s.profile}});
  return json::Object{{"language", c.language},
                      {"exercise", c.exercise},
                      {"nodes", c.nodes},
                      {"nodeLimit", c.node_limit},
                      {"memory", c.limits.memory_bytes},
                      {"cpus", c.limits.cpus},
                      {"pids", c.limits.pids},
                      {"disk", c.limits.disk_bytes},
                      {"created", c.created},
                      {"ends", c.ends},
                      {"paused", c.paused},
                      {"ending", c.ending},
                      {"url", c.url},
                      {"teacherSecret", c.teacher_secret},
                      {"students", std::move(students)}};
}

Class decode(const std::string& name, const json::Value& v) {
  Class c;
  c.name = name;
  c.language = json::str(v, "language");
  c.exercise = json::str(v, "exercise");
  c.nodes = static_cast<int>(json::num(v, "nodes"));
  c.node_limit = static_cast<int>(json::num(v, "nodeLimit"));
  c.limits = {.memory_bytes = size(v, "memory"),
              .cpus = number(json::at(v, "cpus")),
              .pids = size(v, "pids"),
              .disk_bytes = size(v, "disk")};
  c.created = json::str(v, "created");
  c.ends = json::str(v, "ends");
  c.paused = json::flag(v, "paused");
  c.ending = json::flag(v, "ending");
  c.url = json::str(v, "url");
  c.teacher_secret = json::str(v, "teacherSecret");
  for (const auto& s : json::list(v, "students"))
    c.students.push_back({.name = std::string(json::str(s, "name")),
                          .title = std::string(json::str(s, "title")),
                          .secret = std::string(json::str(s, "secret")),
                          .profile = std::string(json::str(s, "profile"))});
  return c;
}

std::string known_classes() {
  std::string out;
  if (auto names = list_classes())
    for (const auto& name : *names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

}  // namespace

const Student* Class::find(const std::string& student) const {
  const auto found = std::ranges::find(students, student, &Student::name);
  return found == students.end() ? nullptr : &*found;
}

bool is_over(const Class& one) {
  const auto ends = api::parse_time(one.ends);
  return ends && std::chrono::system_clock::now() >= *ends;
}

Result<void> check_class_name(const std::string& name) {
  auto small = [](char c) { return c >= 'a' && c <= 'z'; };
  bool ok = !name.empty() && name.size() <= kLongestName && small(name.front()) && name.back() != '-' &&
            name.find("--") == std::string::npos;
  for (const char c : name) ok = ok && (small(c) || (c >= '0' && c <= '9') || c == '-');
  if (ok) return {};
  return fail(Code::kInvalid, "\"" + name + "\" is no name for a class",
              "use up to " + std::to_string(kLongestName) +
                  " small letters, digits and single hyphens, a letter first, as in: monday-b2");
}

Result<Class> load_class(const std::string& name) {
  LAB_CHECK(check_class_name(name));
  auto text = fs::read_file(file_of(name));
  if (!text && text.error().code == Code::kNotFound) {
    const std::string known = known_classes();
    return fail(
        Code::kNotFound, "there is no class \"" + name + "\"",
        known.empty() ? "make one: lab class create " + name + " --students 10 --exercise 1" : "there is: " + known);
  }
  LAB_TRY(auto content, std::move(text));
  auto v = json::parse(content);
  if (!v) return std::unexpected(std::move(v).error().with_context("read " + file_of(name)));
  return decode(name, *v);
}

Result<std::vector<std::string>> list_classes() {
  std::vector<std::string> out;
  if (!fs::exists(kClassesDirectory)) return out;
  LAB_TRY(auto names, fs::list_dir(kClassesDirectory));
  for (auto& name : names)
    if (check_class_name(name) && fs::exists(file_of(name))) out.push_back(std::move(name));
  return out;
}

Result<void> save_class(const Class& one) {
  LAB_CHECK(check_class_name(one.name));
  LAB_CHECK(fs::make_dirs(kClassesDirectory, 0711));
  LAB_CHECK(fs::make_dirs(directory_of(one.name), 0700));
  LAB_CHECK(fs::write_file(file_of(one.name), json::dump_pretty(encode(one), 2) + "\n", 0600));
  // The new name must be on the disk as well as what it names.
  const int fd = ::open(directory_of(one.name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_errno("open " + directory_of(one.name));
  const int synced = ::fsync(fd);
  ::close(fd);
  if (synced != 0) return fail_errno("sync " + directory_of(one.name));
  return {};
}

Result<void> forget_class(const std::string& name) {
  LAB_CHECK(check_class_name(name));
  LAB_CHECK(fs::remove_all(directory_of(name)));
  for (const char* dir : {kClassesDirectory, "/var/lib/lab"}) ::rmdir(dir);  // with the last class
  return {};
}

std::string new_secret() {
  return base32(crypto::random_bytes(kSecretBytes));
}

Student new_student(const std::string& class_name, std::size_t number, std::string title) {
  char name[32];
  std::snprintf(name, sizeof name, "student%02zu", number);
  return {
      .name = name, .title = std::move(title), .secret = new_secret(), .profile = class_name + "-" + std::string(name)};
}

// Every secret is looked at, whether one has fitted or not, so that the time tells nothing.
std::optional<Visitor> visitor_of(const std::vector<Class>& classes, const std::string& secret) {
  std::optional<Visitor> out;
  auto compare = [&](const std::string& with, const std::string& class_name, const std::string& student) {
    if (crypto::equal_constant_time(with, secret) && !with.empty()) out = Visitor{class_name, student};
  };
  for (const auto& one : classes) {
    compare(one.teacher_secret, one.name, "");
    for (const auto& s : one.students) compare(s.secret, one.name, s.name);
  }
  return out;
}

// Beside the class, not in it: the file outlives the class.
Result<FileLock> lock_class(const std::string& name) {
  LAB_CHECK(check_class_name(name));
  return FileLock::wait_for(fs::join(kLockDirectory, "class-" + name + ".lock"));
}

}  // namespace lab::classroom
