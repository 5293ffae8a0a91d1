#include "bootstrap/local/kubeconfig_merge.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <thread>

#include "base/file_lock.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/yaml/yaml.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kLists[] = {"clusters", "contexts", "users"};

// Labs take turns by this one, which the kernel lets go of when its holder dies.
constexpr const char* kLabsLock = "/run/lab/kubeconfig.lock";
constexpr auto kKubectlLimit = std::chrono::seconds(3);
constexpr auto kPause = std::chrono::milliseconds(20);

// kubectl config's own lock (clientcmd): FILE.lock, which must not be there. Ours says whose it is, so that the one of a
// command that was killed is told from kubectl's.
class KubectlLock {
 public:
  static Result<KubectlLock> take(const std::string& file) {
    const std::string path = file + ".lock";
    const auto deadline = std::chrono::steady_clock::now() + kKubectlLimit;
    while (true) {
      const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
      if (fd >= 0) {
        const std::string text = "lab " + std::to_string(::getpid()) + "\n";
        const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
        ::close(fd);
        KubectlLock held(path);
        return written ? Result<KubectlLock>(std::move(held)) : fail_errno("write " + path);
      }
      if (errno != EEXIST) return fail_errno("lock " + file + " by " + path);
      if (of_a_dead_lab(path)) {
        LAB_CHECK(fs::remove_file(path));
        continue;
      }
      if (std::chrono::steady_clock::now() > deadline)
        return fail(Code::kConflict, "the kubeconfig " + file + " is locked by kubectl: " + path + " is there",
                    "when no kubectl config runs, one was killed: remove that file, and start the lab again");
      std::this_thread::sleep_for(kPause);
    }
  }
  KubectlLock(KubectlLock&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  KubectlLock& operator=(KubectlLock&&) = delete;
  ~KubectlLock() {
    if (!path_.empty()) (void)fs::remove_file(path_);
  }

 private:
  explicit KubectlLock(std::string path) : path_(std::move(path)) {}
  static bool of_a_dead_lab(const std::string& path) {
    const auto text = fs::read_file(path).value_or("");
    if (!text.starts_with("lab ")) return false;
    const long pid = std::strtol(text.c_str() + 4, nullptr, 10);
    return pid > 0 && ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH;
  }
  std::string path_;
};

json::Value empty_config() {
  return json::Object{{"apiVersion", "v1"},       {"clusters", json::Array()},      {"contexts", json::Array()},
                      {"current-context", ""},    {"kind", "Config"},               {"preferences", json::Object()},
                      {"users", json::Array()}};
}

void drop(json::Value& config, const char* list, const std::string& name) {
  auto& field = json::ensure(config, list);
  if (!field.is_array()) field = json::Array();
  json::Array kept;
  for (auto& entry : field.get_array())
    if (json::str(entry, "name") != name) kept.push_back(entry);
  field = std::move(kept);
}

void add(json::Value& config, const char* list, const std::string& name, const char* what, json::Value value) {
  drop(config, list, name);
  json::Object entry;
  entry[what] = std::move(value);
  entry["name"] = name;
  config.at(list).as_array().push_back(std::move(entry));
}

Result<json::Value> read_config(const std::string& path) {
  auto text = fs::read_file(path);
  if (!text && text.error().code == Code::kNotFound) return empty_config();
  if (!text) return std::unexpected(std::move(text).error());
  if (text->find_first_not_of(" \t\r\n") == std::string::npos) return empty_config();
  auto config = yaml::parse(*text);
  if (!config || !config->is_object())
    return fail(Code::kInvalid, "the kubeconfig " + path + " cannot be read, so it was left as it is",
                "mend or move it, or use the lab's own: export KUBECONFIG=FILE after lab kubeconfig > FILE");
  return config;
}

Result<void> write_as(const std::string& given, const json::Value& config, unsigned uid, unsigned gid) {
  // A link, as those who keep their files elsewhere have it, stays one.
  char real[PATH_MAX];
  const std::string path = ::realpath(given.c_str(), real) ? real : given;
  LAB_CHECK(fs::write_file(path, yaml::dump(config), 0600));
  if (::lchown(path.c_str(), uid, gid) != 0) return fail_errno("give " + path + " to its owner");
  return {};
}

// What was the current context before ours is kept with ours, as an extension (clientcmd/v1 NamedExtension), so that
// taking ours out puts it back.
constexpr const char* kExtension = "lab";

const json::Value& context_of(const json::Value& config, const std::string& name) {
  for (const auto& entry : json::list(config, "contexts"))
    if (json::str(entry, "name") == name) return json::at(entry, "context");
  return json::null_value();
}

std::string previous_context(const json::Value& config, const std::string& name) {
  const std::string current(json::str(config, "current-context"));
  if (current != name) return current;
  for (const auto& e : json::list(context_of(config, name), "extensions"))
    if (json::str(e, "name") == kExtension) return std::string(json::str(e, "extension", "previousContext"));
  return {};
}

}  // namespace

UserFile user_kubeconfig() {
  UserFile file;
  const char* sudo_user = std::getenv("SUDO_USER");
  const passwd* pw = sudo_user && ::geteuid() == 0 ? ::getpwnam(sudo_user) : nullptr;
  const char* home = std::getenv("HOME");
  file.uid = pw ? pw->pw_uid : ::geteuid();
  file.gid = pw ? pw->pw_gid : ::getegid();
  file.path = fs::join(pw ? pw->pw_dir : (home ? home : "/root"), ".kube/config");
  if (const char* env = std::getenv("KUBECONFIG"); env && *env) {
    std::string first = env;
    file.path = first.substr(0, first.find(':'));
  }
  return file;
}

Result<bool> merge_context(const UserFile& file, const std::string& name, const std::string& admin_kubeconfig) {
  LAB_TRY(auto admin, yaml::parse(admin_kubeconfig));
  const std::string dir = file.path.substr(0, file.path.rfind('/'));
  if (!fs::exists(dir)) {
    LAB_CHECK(fs::make_dirs(dir, 0750));
    (void)!::chown(dir.c_str(), file.uid, file.gid);
  }
  LAB_TRY(auto labs, FileLock::wait_for(kLabsLock));
  LAB_TRY(auto kubectl, KubectlLock::take(file.path));
  const bool made = !fs::exists(file.path);
  LAB_TRY(auto config, read_config(file.path));
  const auto& clusters = json::list(admin, "clusters");
  const auto& users = json::list(admin, "users");
  if (clusters.empty() || users.empty()) return fail(Code::kInvalid, "the lab's admin.conf names no cluster or user");
  add(config, "clusters", name, "cluster", json::at(clusters[0], "cluster"));
  add(config, "users", name, "user", json::at(users[0], "user"));
  json::Object context{{"cluster", name}, {"user", name}};
  if (const std::string previous = previous_context(config, name); !previous.empty())
    context["extensions"] = json::Array{
        json::Object{{"extension", json::Object{{"previousContext", previous}}}, {"name", kExtension}}};
  add(config, "contexts", name, "context", std::move(context));
  json::set(config, name, "current-context");
  LAB_CHECK(write_as(file.path, config, file.uid, file.gid));
  return made;
}

namespace {

Result<bool> take_out(const std::string& path, const std::string& name, bool remove_if_empty) {
  LAB_TRY(auto labs, FileLock::wait_for(kLabsLock));
  LAB_TRY(auto kubectl, KubectlLock::take(path));
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return fail_errno("stat " + path);
  LAB_TRY(auto config, read_config(path));
  const std::string previous = previous_context(config, name);
  bool empty = true;
  for (const char* list : kLists) {
    drop(config, list, name);
    empty = empty && json::list(config, list).empty();
  }
  if (json::str(config, "current-context") == name)
    json::set(config, context_of(config, previous).is_null() ? std::string() : previous, "current-context");
  if (empty && remove_if_empty) {
    LAB_CHECK(fs::remove_file(path));
    return true;
  }
  LAB_CHECK(write_as(path, config, st.st_uid, st.st_gid));
  return false;
}

}  // namespace

Result<void> remove_context(const std::string& path, const std::string& name, bool remove_if_empty) {
  if (!fs::exists(path)) return {};
  LAB_TRY(bool gone, take_out(path, name, remove_if_empty));
  if (gone) ::rmdir(path.substr(0, path.rfind('/')).c_str());  // kubectl's cache, if any, keeps it
  return {};
}

}  // namespace lab::bootstrap
