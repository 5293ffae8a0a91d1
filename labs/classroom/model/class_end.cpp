#include "labs/classroom/model/class_end.h"

#include <fcntl.h>
#include <sys/file.h>

#include <thread>

#include "base/fs.h"
#include "base/io/listener.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "labs/classroom/model/student_lab.h"

namespace lab::classroom {

namespace {

constexpr auto kLook = std::chrono::seconds(2);    // at the class's file
constexpr auto kAgain = std::chrono::seconds(10);  // after labs could not be made to stand still

}  // namespace

Result<void> start_end_keeper(const std::string& class_name) {
  LAB_TRY([[maybe_unused]] const pid_t pid,
          spawn_daemon({.argv = {fs::self_exe(), "class", "keep", class_name},
                        .log_path = fs::join(kClassesDirectory, class_name + "/end.log")}));
  return {};
}

Result<void> keep_end(const std::string& class_name) {
  LAB_CHECK(check_class_name(class_name));
  LAB_CHECK(fs::make_dirs("/run/lab"));
  const std::string path = "/run/lab/class-end-" + class_name + ".lock";
  const OwnedFd alone(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (alone.get() < 0) return fail_errno("open " + path);
  if (::flock(alone.get(), LOCK_EX | LOCK_NB) != 0) return {};  // another one is there
  std::string rests_since;
  while (true) {
    const auto one = load_class(class_name);
    if (!one || one->ending || one->ends.empty()) return {};
    auto pause = kLook;
    if (is_over(*one) && rests_since != one->ends) {
      if (auto done = rest_class(class_name)) {
        rests_since = one->ends;
      } else {
        log::warn("labs of a class that has ended go on", {{"class", class_name}, {"error", done.error().text()}});
        pause = kAgain;
      }
    }
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace lab::classroom
