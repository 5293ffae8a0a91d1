#include "tests/contract/store/etcd_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "base/subprocess.h"
#include "orchestrator/store/etcd/etcd.h"

namespace lab::store {

namespace {

// Ports that are free now. etcd cannot be told to take any and say which, so a loser of the race starts again.
std::vector<int> free_ports(int n) {
  std::vector<int> fds, ports;
  for (int i = 0; i < n; ++i) {
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in a{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof a;
    if (::bind(fd, reinterpret_cast<sockaddr*>(&a), size) != 0) continue;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &size);
    fds.push_back(fd);
    ports.push_back(ntohs(a.sin_port));
  }
  for (int fd : fds) ::close(fd);
  return ports;
}

std::map<std::string, std::unique_ptr<EtcdProcess>>& running() {
  static std::map<std::string, std::unique_ptr<EtcdProcess>> instance;
  return instance;
}

EtcdOptions options_for(const std::string& url, StoreTuning tuning) {
  return {.cluster = {.endpoints = {url}}, .history_bytes = tuning.history_bytes, .history = tuning.history};
}

}  // namespace

Result<void> EtcdProcess::spawn() {
  std::string log = directory_ + "/etcd.log";
  std::vector<std::string> args = {program_,
                                   "--name=one",
                                   "--data-dir=" + directory_ + "/etcd",
                                   "--listen-client-urls=" + url_,
                                   "--advertise-client-urls=" + url_,
                                   "--listen-peer-urls=" + peer_url_,
                                   "--initial-advertise-peer-urls=" + peer_url_,
                                   "--initial-cluster=one=" + peer_url_,
                                   "--max-txn-ops=10000",
                                   "--max-request-bytes=8388608",
                                   "--log-level=warn"};
  std::vector<char*> argv;
  for (auto& a : args) argv.push_back(a.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(fd, 1);
    ::dup2(fd, 2);
    ::execvp(argv[0], argv.data());
    _exit(127);
  }
  for (int i = 0; i < 600; ++i) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      std::ostringstream text;
      text << std::ifstream(log).rdbuf();
      return fail(Code::kUnavailable, "etcd ended at its start: " + text.str(), "install etcd-server");
    }
    EtcdOptions options = options_for(url_, {});
    options.cluster.limit = options.cluster.attempt = std::chrono::milliseconds(500);
    options.connect_limit = std::chrono::seconds(0);
    if (auto store = open_etcd(std::move(options))) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return fail(Code::kTimeout, "etcd did not serve within a minute");
}

Result<std::unique_ptr<EtcdProcess>> EtcdProcess::start(const std::string& directory, const std::string& program) {
  Result<void> last;
  for (int i = 0; i < 5; ++i) {
    auto ports = free_ports(2);
    std::unique_ptr<EtcdProcess> out(new EtcdProcess);
    out->directory_ = directory;
    out->program_ = program;
    out->url_ = "http://127.0.0.1:" + std::to_string(ports.at(0));
    out->peer_url_ = "http://127.0.0.1:" + std::to_string(ports.at(1));
    last = out->spawn();
    if (last) return out;
  }
  return std::unexpected(std::move(last).error());
}

void EtcdProcess::end() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}
EtcdProcess::~EtcdProcess() {
  end();
}
Result<void> EtcdProcess::restart() {
  end();
  return spawn();
}
void EtcdProcess::pause() {
  ::kill(pid_, SIGSTOP);
  ::waitpid(pid_, nullptr, WUNTRACED);  // until its last thread has stopped
}
void EtcdProcess::resume() {
  ::kill(pid_, SIGCONT);
}

namespace {

Result<std::unique_ptr<Store>> open_on(const std::string& program, const std::string& directory, StoreTuning tuning) {
  auto& process = running()[directory];
  if (!process) {
    LAB_TRY(process, EtcdProcess::start(directory, program));
  }
  return open_etcd(options_for(process->url(), tuning));
}

}  // namespace

Result<std::string> etcd35() {
  LAB_TRY(auto said, run_checked({.argv = {LAB_SOURCE_DIR "/tools/fetch-etcd"}, .timeout = std::chrono::minutes(9)}));
  return said.substr(0, said.find('\n'));
}

Result<std::unique_ptr<Store>> open_etcd_in(const std::string& directory, StoreTuning tuning) {
  return open_on("etcd", directory, tuning);
}

Result<std::unique_ptr<Store>> open_etcd35_in(const std::string& directory, StoreTuning tuning) {
  LAB_TRY(auto program, etcd35());
  return open_on(program, directory, tuning);
}

void end_etcd_of(const std::string& directory) {
  running().erase(directory);
}

}  // namespace lab::store
