// What a node's /etc and /var hold when it is new.
#include "base/fs.h"
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

// A node has no cgroup or security features that its runtime could not find here: see the comments beside each line.
std::string containerd_config() {
  std::string runtime = find_in_path("crun").value_or("");
  return std::string("version = 2\n") +
         "oom_score = 0\n"
         "[plugins.\"io.containerd.grpc.v1.cri\"]\n"
         "  sandbox_image = \"" + kSandboxImage + "\"\n" +
         "  restrict_oom_score_adj = true\n"   // root may lack CAP_SYS_RESOURCE
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
      if (line.starts_with("nameserver") && line.find(" 127.") == std::string::npos && line.find(" ::1") == std::string::npos)
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

Result<void> write_once(const std::string& path, const std::string& text, unsigned mode = 0644) {
  if (fs::exists(path)) return {};
  return fs::write_file(path, text, mode);
}

}  // namespace

Result<void> prepare_files(const NodeLayout& layout, const NodeSpec& spec) {
  const std::string etc = layout.etc();
  for (const auto& dir : {layout.mount_point(), layout.home(), fs::join(etc, "containerd/certs.d"), fs::join(etc, "cni/net.d"),
                          fs::join(etc, "kubernetes/manifests"), fs::join(etc, "ssl/certs"), fs::join(etc, "alternatives"),
                          fs::join(layout.var(), "lib/containerd"), fs::join(layout.var(), "lib/kubelet"),
                          fs::join(layout.var(), "log/pods"), fs::join(layout.var(), "cache"), fs::join(layout.var(), "tmp"),
                          fs::join(layout.opt(), "cni/bin"), fs::join(layout.opt(), "lab/bin/share")})
    LAB_CHECK(fs::make_dirs(dir));
  LAB_CHECK(fs::make_dirs(layout.root_home(), 0700));
  LAB_CHECK(write_once(fs::join(etc, "passwd"), kPasswd));
  LAB_CHECK(write_once(fs::join(etc, "group"), kGroup));
  LAB_CHECK(write_once(fs::join(etc, "profile"), profile_text()));
  LAB_CHECK(write_once(fs::join(layout.root_home(), ".bashrc"), ". /etc/profile\n"));
  LAB_CHECK(write_once(fs::join(etc, "nsswitch.conf"), "passwd: files\ngroup: files\nhosts: files dns\n"));
  LAB_CHECK(write_once(fs::join(etc, "host.conf"), "multi on\n"));  // a name may have several addresses in /etc/hosts
  LAB_CHECK(write_once(fs::join(etc, "resolv.conf"), resolv_conf()));
  LAB_CHECK(write_once(fs::join(etc, "containerd/config.toml"), containerd_config()));
  LAB_CHECK(fs::write_file(fs::join(etc, "hostname"), spec.name + "\n"));
  LAB_CHECK(write_once(fs::join(etc, "machine-id"), machine_id()));
  for (const char* name : {"ld.so.cache", "ld.so.conf", "os-release", "debian_version", "protocols", "services", "localtime"})
    if (auto text = fs::read_file(fs::join("/etc", name))) LAB_CHECK(write_once(fs::join(etc, name), *text));
  if (!fs::exists(fs::join(layout.var(), "run"))) LAB_CHECK(fs::symlink("/run", fs::join(layout.var(), "run")));
  // Mount points for files of this installation, and the names by which exercises call it.
  const std::string bin = fs::join(layout.opt(), "lab/bin");
  LAB_CHECK(write_once(fs::join(bin, "lab"), "", 0755));
  LAB_CHECK(fs::symlink("lab", fs::join(bin, "kubeadm")));
  return write_unit({.name = "containerd",
                     .description = "containerd container runtime",
                     .argv = {"/usr/bin/containerd", "--config", "/etc/containerd/config.toml"},
                     .env = {{"PATH", kNodePath}}},
                    fs::join(etc, "lab/units"));
}

Result<void> write_hosts(const NodeLayout& layout, const NodeSpec& self, const std::vector<NodeSpec>& all) {
  std::string text = "127.0.0.1 localhost\n" + self.address + " " + self.name + "\n";
  for (const auto& node : all)
    if (node.name != self.name) text += node.address + " " + node.name + "\n";
  for (const auto& node : all)   // one name of several addresses: clients go from one to the next
    if (node.shared_master) text += node.address + " " + kControlPlaneName + "\n";
  // In place: a running node has this directory mounted, but programs may hold the file itself.
  const std::string path = fs::join(layout.etc(), "hosts");
  if (auto before = fs::read_file(path); before && *before == text) return {};
  return fs::write_file(path, text);
}

}  // namespace lab::bootstrap
