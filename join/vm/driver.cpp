#include "join/vm/driver.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <mutex>
#include <optional>

#include "base/fs.h"
#include "base/subprocess.h"
#include "bootstrap/common/runtime.h"
#include "join/ssh/bundle.h"
#include "join/ssh/scripts.h"
#include "join/ssh/session.h"
#include "join/ssh/shell.h"
#include "join/vm/machines.h"

namespace lab::join::vm {

namespace {

using bootstrap::ExecRequest;
using bootstrap::ExecResult;
using bootstrap::NodeSpec;
using bootstrap::NodeState;

constexpr auto kBootLimit = std::chrono::seconds(900);
constexpr auto kCopyLimit = std::chrono::seconds(600);
constexpr auto kShort = std::chrono::seconds(120);
constexpr std::uint64_t kMemory = 2ull << 30;
constexpr int kCpus = 2;
constexpr const char* kErrorMark = "\n== standard error ==\n";

// The names by which exercises and commands call this program.
constexpr const char* kLinkScript =
    "set -e\n"
    "ln -sfn /opt/lab/releases/current/lab /usr/local/bin/lab\n"
    "ln -sfn /opt/lab/releases/current/lab /usr/local/bin/kubeadm\n";
constexpr const char* kHasReleaseScript = "cd \"/opt/lab/releases/$1\" && sha256sum -c --status MANIFEST";
// Standard error follows standard output, behind a mark: the seam to SSH carries one stream.
constexpr const char* kExecScript =
    "e=$(mktemp) && \"$@\" 2>\"$e\"\n"
    "code=$?\n"
    "printf '\\n== standard error ==\\n'\n"
    "cat \"$e\"\n"
    "rm -f \"$e\"\n"
    "exit $code\n";

class LibvirtDriver final : public bootstrap::NodeDriver {
 public:
  explicit LibvirtDriver(DriverSettings settings) : settings_(std::move(settings)) {}

  Result<void> prepare() override {
    LAB_TRY(auto* machines, this->machines());
    if (const auto& why = machines->emulated_because(); !why.empty())
      std::fprintf(stderr, "warning: %s: machines are emulated, which is some ten times slower\n", why.c_str());
    LAB_CHECK(image());
    return {};
  }

  Result<void> start(const NodeSpec& spec) override {
    LAB_TRY(auto* machines, this->machines());
    LAB_TRY(const Image* image, this->image());
    LAB_TRY(auto machine,
            machines->make({.name = spec.name,
                            .memory_bytes = spec.memory_bytes ? spec.memory_bytes : kMemory,
                            .cpus = spec.cpus > 0 ? std::max(1, static_cast<int>(std::ceil(spec.cpus))) : kCpus,
                            .address = spec.address},
                           *image));
    LAB_CHECK(machines->wait_up(machine, kBootLimit, [](const std::string&) {}));
    return bring_program(spec.name);
  }

  Result<void> stop(const std::string& name) override {
    return with_machines([&](Machines& m) { return m.stop(name); });
  }
  Result<void> remove(const std::string& name) override {
    return with_machines([&](Machines& m) { return m.remove(name); });
  }
  // What was never made needs no libvirt to go: a start that failed for want of it can be deleted.
  Result<void> remove_all() override {
    if (!fs::exists(fs::join(kGroupsDirectory, group()))) return {};
    return with_machines([](Machines& m) { return m.remove_all(); });
  }

  Result<std::vector<NodeState>> list() override {
    LAB_TRY(auto* machines, this->machines());
    LAB_TRY(auto all, machines->list());
    std::vector<NodeState> out;
    for (const auto& m : all)
      out.push_back({.spec = {.name = m.spec.name,
                              .address = m.address,
                              .memory_bytes = m.spec.memory_bytes,
                              .cpus = static_cast<double>(m.spec.cpus)},
                     .running = m.running});
    return out;
  }

  Result<ExecResult> exec(const std::string& name, ExecRequest request) override {
    std::vector<std::string> words{"env"};
    for (const auto& [key, value] : request.env) words.push_back(key + "=" + value);
    words.insert(words.end(), request.argv.begin(), request.argv.end());
    LAB_TRY(auto done, remote(name, kExecScript, std::move(words), {request.stdin_text},
                              std::chrono::seconds(request.timeout_seconds)));
    ExecResult out{.exit_code = done.exit_code, .out = std::move(done.output)};
    if (const auto at = out.out.rfind(kErrorMark); at != std::string::npos) {
      out.err = out.out.substr(at + std::char_traits<char>::length(kErrorMark));
      out.out.erase(at);
    }
    return out;
  }

  Result<void> enter(const std::string& name, std::vector<std::string> argv) override {
    LAB_TRY(auto machine, running(name));
    LAB_TRY(auto options, connect_options(name));
    std::vector<std::string> words{"ssh", "-q",
                                   "-o",  "UserKnownHostsFile=" + options.known_hosts,
                                   "-o",  "StrictHostKeyChecking=yes",
                                   "-o",  "IdentitiesOnly=yes",
                                   "-i",  options.identity};
    if (::isatty(STDIN_FILENO) && ::isatty(STDOUT_FILENO)) words.push_back("-t");
    words.push_back("root@" + machine.address);
    words.push_back("--");
    words.push_back(ssh::shell_words(argv));
    std::vector<char*> raw;
    for (auto& w : words) raw.push_back(w.data());
    raw.push_back(nullptr);
    ::execvp("ssh", raw.data());
    return fail_errno("run ssh", "install it: apt-get install openssh-client");
  }

  Result<std::string> path_in(const std::string& name, const std::string&) override {
    return fail(Code::kInvalid, "node \"" + name + "\" is a virtual machine: its files have no path on this one",
                "look inside: lab shell " + name + " -- cat FILE");
  }

  Result<std::string> read_file(const std::string& name, const std::string& path) override {
    LAB_TRY(auto done, exec(name, {.argv = {"cat", "--", path}, .timeout_seconds = static_cast<int>(kShort.count())}));
    if (done.exit_code == 0) return std::move(done.out);
    return fail(done.err.find("No such file") != std::string::npos ? Code::kNotFound : Code::kIo,
                "read " + path + " on node " + name + ": " + done.err);
  }

  Result<void> write_file(const std::string& name, const std::string& path, const std::string& content) override {
    return feed(name, path, {content});
  }

  Result<void> remove_file(const std::string& name, const std::string& path) override {
    LAB_TRY(auto done,
            exec(name, {.argv = {"rm", "-f", "--", path}, .timeout_seconds = static_cast<int>(kShort.count())}));
    if (done.exit_code == 0) return {};
    return fail(Code::kIo, "remove " + path + " on node " + name + ": " + done.err);
  }

  Result<void> copy_in(const std::string& name, const std::string& from, const std::string& to) override {
    LAB_TRY(auto content, fs::read_file(from));
    return feed(name, to, {content});
  }

  Result<void> runtime_answers(const std::string& name) override {
    LAB_TRY(auto done, exec(name, {.argv = {"ctr", "version"}, .timeout_seconds = static_cast<int>(kShort.count())}));
    if (done.exit_code == 0) return {};
    return fail(Code::kUnavailable, "it does not answer yet");
  }

 private:
  // A lab's group of machines does not meet that of `lab join --vm`, whatever the lab's name.
  std::string group() const { return "profile-" + settings_.profile; }

  Result<Machines*> machines() {
    std::lock_guard lock(mutex_);
    if (!machines_) {
      LAB_CHECK(make_bundle());  // before libvirt is loaded: what comes with it is none of what the nodes need
      LAB_TRY(
          machines_,
          Machines::open(
              {.uri = settings_.uri, .group = group(), .subnet = settings_.subnet.text(), .bridge = settings_.bridge}));
    }
    return machines_.get();
  }

  template <class F>
  Result<void> with_machines(F f) {
    LAB_TRY(auto* machines, this->machines());
    return f(*machines);
  }

  Result<const Image*> image() {
    std::lock_guard lock(mutex_);
    if (!image_) {
      LAB_TRY(image_, open_image(settings_.image));
    }
    return &*image_;
  }

  Result<void> make_bundle() {
    LAB_TRY(bundle_,
            ssh::make_bundle(
                {.binary = fs::self_exe(), .libraries = ssh::own_libraries(), .share = bootstrap::bundle_directory()}));
    return {};
  }

  Result<Machine> running(const std::string& name) {
    LAB_TRY(auto* machines, this->machines());
    LAB_TRY(auto all, machines->list());
    for (auto& m : all)
      if (m.spec.name == name && m.running) return std::move(m);
    for (const auto& m : all)
      if (m.spec.name == name)
        return fail(Code::kUnavailable, "node \"" + name + "\" is not running", "start it: lab node start " + name);
    return fail(Code::kNotFound, "there is no node \"" + name + "\" in lab \"" + settings_.profile + "\"",
                "lab node list shows them");
  }

  Result<ssh::ConnectOptions> connect_options(const std::string& name) {
    LAB_TRY(auto* machines, this->machines());
    LAB_TRY(auto known_hosts, machines->write_known_hosts(name));
    return ssh::ConnectOptions{.known_hosts = known_hosts, .identity = machines->identity(), .agent = false};
  }

  Result<ssh::Executed> remote(const std::string& name, const char* script, std::vector<std::string> arguments,
                               std::vector<std::string_view> input, std::chrono::seconds limit) {
    LAB_TRY(auto machine, running(name));
    LAB_TRY(auto options, connect_options(name));
    LAB_TRY(auto session, ssh::Session::open({.user = "root", .host = machine.address, .port = 22}, options, {}));
    return session->execute(ssh::shell_command(script, arguments, false), {.input = std::move(input), .limit = limit});
  }

  Result<void> checked(const std::string& name, const std::string& what, const char* script,
                       std::vector<std::string> arguments, std::vector<std::string_view> input) {
    LAB_TRY(auto done, remote(name, script, std::move(arguments), std::move(input), kCopyLimit));
    if (done.exit_code == 0) return {};
    return fail(Code::kIo, what + " on node " + name + " failed: " + done.output,
                "is there space? lab shell " + name + " -- df -h");
  }

  Result<void> bring_program(const std::string& name) {
    LAB_TRY(auto there, remote(name, kHasReleaseScript, {bundle_.id}, {}, kShort));
    // The images come by themselves, as into every node.
    if (there.exit_code != 0)
      LAB_CHECK(checked(name, "copying the program", ssh::kUnpackScript, {bundle_.id}, bundle_.archive(false)));
    return checked(name, "linking the program", kLinkScript, {}, {});
  }

  Result<void> feed(const std::string& name, const std::string& path, std::vector<std::string_view> content) {
    return checked(name, "writing " + path,
                   "set -e\nmkdir -p \"$(dirname \"$1\")\"\ncat >\"$1.new\"\nmv \"$1.new\" \"$1\"\n", {path},
                   std::move(content));
  }

  DriverSettings settings_;
  std::mutex mutex_;  // of the three below: nodes are started at the same time
  std::unique_ptr<Machines> machines_;
  std::optional<Image> image_;
  ssh::Bundle bundle_;
};

}  // namespace

std::unique_ptr<bootstrap::NodeDriver> make_libvirt_driver(DriverSettings settings) {
  return std::make_unique<LibvirtDriver>(std::move(settings));
}

}  // namespace lab::join::vm
