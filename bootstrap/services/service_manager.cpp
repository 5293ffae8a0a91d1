#include "bootstrap/services/service_manager.h"

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/fs.h"
#include "base/json.h"
#include "base/subprocess.h"
#include "bootstrap/supervise/supervisor.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kSystemdDirectory = "/etc/systemd/system";

class Systemd final : public ServiceManager {
 public:
  std::string name() const override { return "systemd"; }

  Result<void> ensure_running(const Unit& unit) override {
    // What the daemons need must come back at boot with them.
    if (!unit.native_unit.empty()) return systemctl({"enable", "--quiet", "--now", unit.native_unit});
    const std::string path = path_of(unit.name), text = systemd_text(unit);
    auto before = fs::read_file(path);
    bool changed = !before || *before != text;
    if (changed) {
      LAB_CHECK(fs::write_file(path, text));
      LAB_CHECK(systemctl({"daemon-reload"}));
    }
    LAB_CHECK(systemctl({"enable", "--quiet", unit.name}));
    return systemctl({changed ? "restart" : "start", unit.name});
  }

  Result<void> restart(const std::string& name) override { return systemctl({"restart", name}); }
  Result<void> stop(const std::string& name) override { return systemctl({"stop", name}); }

  Result<void> remove(const std::string& name) override {
    if (!fs::exists(path_of(name))) return {};
    LAB_CHECK(systemctl({"disable", "--quiet", "--now", name}));
    LAB_CHECK(fs::remove_file(path_of(name)));
    return systemctl({"daemon-reload"});
  }

  Result<void> release() override { return {}; }

  Result<std::vector<ServiceState>> list() override {
    std::vector<ServiceState> out;
    LAB_TRY(auto names, fs::list_dir(kSystemdDirectory));
    for (const auto& file : names) {
      if (!file.starts_with("lab-") || !file.ends_with(".service")) continue;
      std::string unit = file.substr(0, file.size() - 8);
      LAB_TRY(auto shown, run({.argv = {"systemctl", "is-active", unit}}));
      LAB_TRY(auto pid, run({.argv = {"systemctl", "show", "--property=MainPID", "--value", unit}}));
      out.push_back({.name = unit,
                     .running = shown.out == "active\n",
                     .last_end = shown.out.substr(0, shown.out.find('\n')),
                     .pid = std::atoi(pid.out.c_str())});
    }
    return out;
  }

  std::string log_hint(const std::string& name) const override { return "journalctl -u " + name + " -n 50"; }

 private:
  static std::string path_of(const std::string& name) { return fs::join(kSystemdDirectory, name + ".service"); }
  static Result<void> systemctl(std::vector<std::string> args) {
    args.insert(args.begin(), "systemctl");
    LAB_CHECK(run_checked({.argv = std::move(args), .timeout = std::chrono::seconds(60)}));
    return {};
  }
};

class Supervised final : public ServiceManager {
 public:
  std::string name() const override { return "lab supervise"; }

  Result<void> ensure_running(const Unit& unit) override {
    const std::string path = fs::join(kUnitDirectory, unit.name + ".json");
    auto before = fs::read_file(path);
    LAB_CHECK(write_unit(unit));
    auto after = fs::read_file(path);
    LAB_CHECK(ensure_supervisor());
    bool changed = !before || *before != *after;
    LAB_CHECK(ask_supervisor(json::Object{{"op", before && changed ? "restart" : "start"}, {"name", unit.name}}));
    return {};
  }

  Result<void> restart(const std::string& name) override {
    LAB_CHECK(ensure_supervisor());
    LAB_CHECK(ask_supervisor(json::Object{{"op", "restart"}, {"name", name}}));
    return {};
  }

  Result<void> stop(const std::string& name) override {
    LAB_CHECK(ensure_supervisor());
    LAB_CHECK(ask_supervisor(json::Object{{"op", "stop"}, {"name", name}}));
    return await_end(name);
  }

  Result<void> remove(const std::string& name) override {
    LAB_CHECK(fs::remove_file(fs::join(kUnitDirectory, name + ".json")));
    if (!ask_supervisor(json::Object{{"op", "reload"}})) return {};
    return await_end(name);
  }

  Result<void> release() override {
    if (auto comm = fs::read_file("/proc/1/comm"); comm && *comm == "lab\n") return {};
    if (ask_supervisor(json::Object{{"op", "shutdown"}})) {
      for (int i = 0; ask_supervisor(json::Object{{"op", "list"}}); ++i) {
        if (i == 300) return fail(Code::kTimeout, "the supervisor did not end within 30 s");
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
    for (const char* dir : {kUnitDirectory, kLogDirectory}) LAB_CHECK(fs::remove_all(dir));
    return {};
  }

  Result<std::vector<ServiceState>> list() override {
    std::vector<ServiceState> out;
    auto answer = ask_supervisor(json::Object{{"op", "list"}});
    if (!answer) return out;
    for (const auto& u : json::list(*answer, "units"))
      out.push_back({.name = std::string(json::str(u, "name")),
                     .running = json::flag(u, "running"),
                     .restarts = static_cast<int>(json::num(u, "restarts")),
                     .last_end = std::string(json::str(u, "lastEnd")),
                     .pid = static_cast<int>(json::num(u, "pid"))});
    return out;
  }

  std::string log_hint(const std::string& name) const override {
    return "tail -n 50 " + fs::join(kLogDirectory, name + ".log");
  }

 private:
  Result<void> await_end(const std::string& name) {
    for (int i = 0; i < 150; ++i) {
      LAB_TRY(auto states, list());
      bool there = false;
      for (const auto& s : states) there = there || (s.name == name && s.running);
      if (!there) return {};
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return fail(Code::kTimeout, "the service " + name + " did not stop within 15 s");
  }

  static Result<void> ensure_supervisor() {
    const json::Value probe = json::Object{{"op", "list"}};
    if (ask_supervisor(probe)) return {};
    LAB_CHECK(fs::make_dirs(kLogDirectory));
    LAB_CHECK(spawn_daemon({.argv = {fs::self_exe(), "supervise"},
                            .log_path = fs::join(kLogDirectory, "supervise.log"),
                            .directory = "/"}));
    for (int i = 0; i < 100; ++i) {
      if (ask_supervisor(probe)) return {};
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return fail(Code::kTimeout, "the supervisor did not come up within 5 s",
                "look at " + fs::join(kLogDirectory, "supervise.log"));
  }
};

}  // namespace

bool systemd_running() {
  auto comm = fs::read_file("/proc/1/comm");
  return comm && *comm == "systemd\n" && fs::exists("/run/systemd/system");
}

std::unique_ptr<ServiceManager> ServiceManager::detect() {
  if (systemd_running()) return std::make_unique<Systemd>();
  return std::make_unique<Supervised>();
}

}  // namespace lab::bootstrap
