// What a node's /etc and /var hold when it is new.
#include <initializer_list>

#include "base/fs.h"
#include "base/rooted.h"
#include "base/subprocess.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/node/rootfs.h"
#include "bootstrap/supervise/unit.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kSandboxImage = "registry.k8s.io/pause:3.10";

constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
constexpr const char* kGroup = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nnogroup:x:65534:\n";

std::string profile_text() {
  return std::string("export PATH=") + kNodePath +
         "\nexport PS1='\\u@\\h:\\w# '\n"
         "[ -n \"$KUBECONFIG\" ] || [ -e ~/.kube/config ] || [ ! -e /etc/kubernetes/admin.conf ] || "
         "export KUBECONFIG=/etc/kubernetes/admin.conf\n"
         "alias k=kubectl\n";
}

// What a node's runtime never uses is not loaded: each takes memory in every node of every lab.
constexpr const char* kUnusedPlugins =
    "\"io.containerd.snapshotter.v1.aufs\", \"io.containerd.snapshotter.v1.btrfs\", "
    "\"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.snapshotter.v1.zfs\", "
    "\"io.containerd.snapshotter.v1.native\", \"io.containerd.internal.v1.restart\", "
    "\"io.containerd.internal.v1.opt\", \"io.containerd.internal.v1.tracing\", "
    "\"io.containerd.tracing.processor.v1.otlp\"";

// A node has no cgroup or security features that its runtime could not find here: see the comments beside each line.
std::string containerd_config() {
  std::string runtime = find_in_path("crun").value_or("");
  return std::string("version = 2\n") +
         "oom_score = 0\n"
         "disabled_plugins = [" +
         kUnusedPlugins + "]\n" +
         "[plugins.\"io.containerd.grpc.v1.cri\"]\n"
         "  sandbox_image = \"" +
         kSandboxImage + "\"\n" +
         "  restrict_oom_score_adj = true\n"  // root may lack CAP_SYS_RESOURCE
         "  disable_apparmor = true\n"
         "  tolerate_missing_hugetlb_controller = true\n"
         "  max_container_log_line_size = 16384\n"
         "  [plugins.\"io.containerd.grpc.v1.cri\".cni]\n"
         "    bin_dir = \"/opt/cni/bin\"\n"
         "    conf_dir = \"/etc/cni/net.d\"\n"
         "  [plugins.\"io.containerd.grpc.v1.cri\".registry]\n"
         "    config_path = \"/etc/containerd/certs.d\"\n"
         "  [plugins.\"io.containerd.grpc.v1.cri\".containerd]\n"
         "    snapshotter = \"overlayfs\"\n"
         "    [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n"
         "      runtime_type = \"io.containerd.runc.v2\"\n"
         "      [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n"
         "        SystemdCgroup = false\n" +
         (runtime.empty() ? "" : "        BinaryName = \"" + runtime + "\"\n");
}

// The resolvers that really answer: a stub on 127.0.0.53 does not reach into the node's network.
std::string resolv_conf() {
  for (const char* path : {"/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"}) {
    auto text = fs::read_file(path);
    if (!text) continue;
    std::string out;
    std::size_t start = 0;
    while (start < text->size()) {
      auto end = std::min(text->find('\n', start), text->size());
      std::string line = text->substr(start, end - start);
      if (line.starts_with("nameserver") && line.find(" 127.") == std::string::npos &&
          line.find(" ::1") == std::string::npos)
        out += line + "\n";
      start = end + 1;
    }
    if (!out.empty()) return out;
  }
  return {};
}

// machine-id(5): what tells machines apart; a node keeps its own for life.
std::string machine_id() {
  std::string id = fs::read_file("/proc/sys/kernel/random/uuid").value_or("");
  std::erase(id, '-');
  return id;
}

// The node's own directories: a running node may put links there while this program writes.
class Own {
 public:
  static Result<Own> open(const std::string& directory) {
    LAB_CHECK(fs::make_dirs(directory));
    LAB_TRY(auto inside, fs::Rooted::open(directory));
    return Own(std::move(inside));
  }
  Result<void> directories(std::initializer_list<const char*> names) const {
    for (const char* name : names) LAB_CHECK(inside_.make_dirs(name));
    return {};
  }
  Result<void> once(const std::string& path, const std::string& text, unsigned mode = 0644) const {
    return inside_.exists(path) ? Result<void>{} : inside_.write(path, text, mode);
  }
  const fs::Rooted& inside() const { return inside_; }

 private:
  explicit Own(fs::Rooted inside) : inside_(std::move(inside)) {}
  fs::Rooted inside_;
};

Result<void> prepare_etc(const Own& etc, const NodeSpec& spec) {
  LAB_CHECK(etc.directories(
      {"containerd/certs.d", "cni/net.d", "kubernetes/manifests", "ssl/certs", "alternatives", "lab/units"}));
  LAB_CHECK(etc.once("passwd", kPasswd));
  LAB_CHECK(etc.once("group", kGroup));
  LAB_CHECK(etc.once("profile", profile_text()));
  LAB_CHECK(etc.once("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"));
  LAB_CHECK(etc.once("host.conf", "multi on\n"));  // a name may have several addresses in /etc/hosts
  LAB_CHECK(etc.once("resolv.conf", resolv_conf()));
  LAB_CHECK(etc.once("containerd/config.toml", containerd_config()));
  LAB_CHECK(etc.inside().write("hostname", spec.name + "\n"));
  LAB_CHECK(etc.once("machine-id", machine_id()));
  for (const char* name :
       {"ld.so.cache", "ld.so.conf", "os-release", "debian_version", "protocols", "services", "localtime"})
    if (auto text = fs::read_file(fs::join("/etc", name))) LAB_CHECK(etc.once(name, *text));
  const Unit containerd{.name = "containerd",
                        .description = "containerd container runtime",
                        .argv = {"/usr/bin/containerd", "--config", "/etc/containerd/config.toml"},
                        // Its heap and those of its shims, which inherit this, stay close to what is in use.
                        .env = {{"PATH", kNodePath}, {"GOGC", "50"}, {"GOMAXPROCS", "2"}}};
  return etc.inside().write("lab/units/" + containerd.name + ".json", unit_text(containerd), 0600);
}

}  // namespace

Result<void> prepare_files(const NodeLayout& layout, const NodeSpec& spec) {
  LAB_CHECK(fs::make_dirs(layout.mount_point()));
  LAB_CHECK(fs::make_dirs(layout.home()));
  LAB_CHECK(fs::make_dirs(layout.root_home(), 0700));
  LAB_TRY(auto etc, Own::open(layout.etc()));
  LAB_CHECK(prepare_etc(etc, spec));
  LAB_TRY(auto root, Own::open(layout.root_home()));
  LAB_CHECK(root.once(".bashrc", ". /etc/profile\n"));
  LAB_TRY(auto var, Own::open(layout.var()));
  LAB_CHECK(var.directories({"lib/containerd", "lib/kubelet", "log/pods", "cache", "tmp"}));
  if (!var.inside().exists("run")) LAB_CHECK(var.inside().symlink("/run", "run"));
  // Mount points for files of this installation, and the names by which exercises call it.
  LAB_TRY(auto opt, Own::open(layout.opt()));
  LAB_CHECK(opt.directories({"cni/bin", "lab/bin/share"}));
  LAB_CHECK(opt.once("lab/bin/lab", "", 0755));
  return opt.inside().symlink("lab", "lab/bin/kubeadm");
}

Result<void> write_hosts(const NodeLayout& layout, const NodeSpec& self, const std::vector<NodeSpec>& all) {
  std::string text = "127.0.0.1 localhost\n" + self.address + " " + self.name + "\n";
  for (const auto& node : all)
    if (node.name != self.name) text += node.address + " " + node.name + "\n";
  for (const auto& node : all)  // one name of several addresses: clients go from one to the next
    if (node.shared_master) text += node.address + " " + kControlPlaneName + "\n";
  // A running node has this directory mounted: it sees the new file.
  LAB_TRY(auto etc, Own::open(layout.etc()));
  if (auto before = etc.inside().read("hosts"); before && *before == text) return {};
  return etc.inside().write("hosts", text);
}

}  // namespace lab::bootstrap
