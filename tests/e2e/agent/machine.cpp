#include "machine.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "orchestrator/client/client.h"

namespace lab::agent::test {

using namespace std::chrono_literals;

namespace {

void must(const Result<void>& r) {
  if (r) return;
  std::fprintf(stderr, "set-up failed: %s\n", r.error().text().c_str());
  std::abort();
}
std::string must(Result<std::string> r) {
  if (r) return *r;
  std::fprintf(stderr, "set-up failed: %s\n", r.error().text().c_str());
  std::abort();
}

void loopback_up() {
  int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  ::ioctl(fd, SIOCSIFFLAGS, &request);
  ::close(fd);
}

// A docker archive with one layer: what `ctr images import` reads.
void import_image(Machine& m, const std::string& name, const std::string& root, const std::string& config) {
  std::string work = m.dir() + "/image";
  must(fs::remove_all(work));
  must(fs::make_dirs(work));
  must(run_checked({.argv = {"tar", "-C", root, "-cf", work + "/layer.tar", "."}}));
  std::string digest = crypto::hex_encode(crypto::sha256(must(fs::read_file(work + "/layer.tar"))));
  must(fs::write_file(work + "/config.json", R"({"architecture":"amd64","os":"linux","config":)" + config +
                                                 R"(,"rootfs":{"type":"layers","diff_ids":["sha256:)" + digest +
                                                 R"("]}})"));
  must(fs::write_file(work + "/manifest.json",
                      R"([{"Config":"config.json","RepoTags":[")" + name + R"("],"Layers":["layer.tar"]}])"));
  must(run_checked({.argv = {"tar", "-C", work, "-cf", m.dir() + "/image.tar", "."}}));
  m.ctr({"images", "import", m.dir() + "/image.tar"});
}

}  // namespace

void Machine::set_up_namespaces(const std::string& dir, const std::string& cgroup_root) {
  ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  ::mount("proc", "/proc", "proc", 0, nullptr);
  ::mount("tmpfs", "/run", "tmpfs", 0, "mode=0755");  // containerd and CNI put sockets and namespaces there
  loopback_up();
  ::setenv("AGENT_TEST_DIR", dir.c_str(), 1);
  ::setenv("AGENT_TEST_CGROUP", cgroup_root.c_str(), 1);
}

Machine& Machine::get() {
  static Machine* machine = nullptr;  // lives as long as the namespaces do
  if (!machine) {
    machine = new Machine();
    machine->start_containerd();
    machine->make_images();
  }
  return *machine;
}

Machine::Machine() : dir_(std::getenv("AGENT_TEST_DIR")), cgroup_root_(std::getenv("AGENT_TEST_CGROUP")) {
  must(fs::make_dirs(dir_ + "/cni/net.d"));
  must(fs::write_file(dir_ + "/cni/net.d/10-test.conflist", R"({"cniVersion":"0.4.0","name":"test","plugins":[
    {"type":"bridge","bridge":"agenttest0","isGateway":true,"ipMasq":false,
     "ipam":{"type":"host-local","dataDir":")" + dir_ + R"(/cni/ipam","ranges":[[{"subnet":"10.243.0.0/16"}]],
             "routes":[{"dst":"0.0.0.0/0"}]}}]})"));
  must(fs::write_file(dir_ + "/containerd.toml", "version = 2\nroot = \"" + dir_ + "/root\"\nstate = \"" + dir_ +
                                                     "/state\"\n[grpc]\n  address = \"" + socket() +
                                                     "\"\n[ttrpc]\n  address = \"" + dir_ + R"(/ttrpc.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:test"
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = ")" + dir_ + R"(/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.internal.v1.opt"]
  path = ")" + dir_ + R"(/opt"
)"));
}

void Machine::start_containerd() {
  auto pid = spawn_daemon({.argv = {"containerd", "--config", dir_ + "/containerd.toml", "--log-level", "info"},
                           .log_path = dir_ + "/containerd.log"});
  if (!pid) must(Result<void>(std::unexpected(pid.error())));
  containerd_ = *pid;
  bool up = eventually([&] {
    auto r = lab::run({.argv = {"ctr", "--address", socket(), "version"}, .timeout = 5s});
    return r && r->ok();
  });
  if (!up) must(Result<void>(fail(Code::kTimeout, "containerd does not come up, see " + dir_ + "/containerd.log")));
}

void Machine::kill_containerd() {
  ::kill(containerd_, SIGKILL);
  eventually([&] { return !process_alive(containerd_); });
}

std::string Machine::ctr(std::vector<std::string> args) {
  Command c{.argv = {"ctr", "--address", socket(), "-n", "k8s.io"}};
  c.argv.insert(c.argv.end(), args.begin(), args.end());
  auto r = run_checked(std::move(c));
  EXPECT_TRUE(r.has_value()) << (r ? "" : r.error().text());
  return r.value_or("");
}

void Machine::make_images() {
  std::string pause = dir_ + "/pause-root";
  must(fs::make_dirs(pause));
  must(fs::copy_file(PAUSE_BINARY, pause + "/pause", 0755));
  import_image(*this, "localhost/pause:test", pause, R"({"Entrypoint":["/pause"]})");

  std::string root = dir_ + "/busybox-root";
  for (const char* d : {"/bin", "/etc", "/tmp", "/root", "/dev", "/proc", "/sys", "/var/run"})
    must(fs::make_dirs(root + d));
  must(fs::copy_file("/bin/busybox", root + "/bin/busybox", 0755));
  std::istringstream libraries(must(run_checked({.argv = {"ldd", "/bin/busybox"}})));
  for (std::string line; std::getline(libraries, line);) {
    auto slash = line.find('/');
    if (slash == std::string::npos) continue;
    std::string path = line.substr(slash, line.find(' ', slash) - slash);
    must(fs::make_dirs(root + path.substr(0, path.rfind('/'))));
    must(fs::copy_file(path, root + path, 0755));
  }
  std::istringstream applets(must(run_checked({.argv = {"/bin/busybox", "--list"}})));
  for (std::string name; std::getline(applets, name);)
    if (name != "busybox") must(fs::symlink("busybox", root + "/bin/" + name));
  must(fs::write_file(root + "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"));
  must(fs::write_file(root + "/etc/group", "root:x:0:\nnogroup:x:65534:\n"));
  import_image(*this, "localhost/busybox:1", root, R"({"Env":["PATH=/bin","FROM_IMAGE=yes"],"Cmd":["sh"]})");
}

AgentOptions Machine::options(const std::string& name) {
  std::string base = dir_ + "/" + name;
  AgentOptions o;
  o.node_name = name;
  o.node_ip = "10.243.0.1";
  o.cri_socket = socket();
  o.root_dir = base + "/kubelet";
  o.pod_log_dir = base + "/logs/pods";
  o.container_log_dir = base + "/logs/containers";
  o.static_pod_path = base + "/manifests";
  o.resolv_conf = base + "/resolv.conf";
  o.cluster_dns = {"10.96.0.10"};
  o.cgroup_root = cgroup_root_;
  o.listen_address = "127.0.0.1";
  o.port = -1;
  o.manifest_interval = 10min;  // manifests are watched
  o.backoff_initial = 1s;
  o.backoff_max = 4s;
  must(fs::make_dirs(o.static_pod_path));
  must(fs::write_file(o.resolv_conf, "nameserver 192.0.2.53\nsearch example.test\n"));
  return o;
}

RunningAgent::RunningAgent(AgentOptions options, std::function<std::unique_ptr<client::Client>()> make_client) {
  std::promise<void> done;
  loop().post([&] {
    if (make_client) client_ = make_client();
    agent_ = std::make_unique<Agent>(std::move(options), client_.get(), loop());
    scope_ = std::make_unique<Scope>(loop());
    auto started = agent_->start(*scope_);
    EXPECT_TRUE(started.has_value()) << (started ? "" : started.error().text());
    done.set_value();
  });
  done.get_future().get();
}

RunningAgent::~RunningAgent() {
  std::promise<void> done;
  Scope closer(loop());
  closer.spawn("stop", [&]() -> Task<void> {
    co_await scope_->close();
    agent_.reset();
    client_.reset();
    done.set_value();
  });
  done.get_future().get();
}

json::Value RunningAgent::pod(const std::string& ns, const std::string& name) {
  return on_loop([&]() -> json::Value {
    for (const auto& p : agent_->pods())
      if (json::str(*p, "metadata", "namespace") == ns && json::str(*p, "metadata", "name") == name) return *p;
    return nullptr;
  });
}

bool eventually(const std::function<bool()>& f, std::chrono::seconds limit) {
  auto end = std::chrono::steady_clock::now() + limit;
  while (!f()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

void write_text(const std::string& path, const std::string& text) {
  must(fs::write_file(path, text));
}
std::string read_text(const std::string& path) {
  return fs::read_file(path).value_or("");
}

}  // namespace lab::agent::test
