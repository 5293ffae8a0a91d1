#include "overlay-net/flow_cache/flow_cache.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <utility>

#include "base/log.h"
#include "base/netlink/sysctl.h"
#include "overlay-net/flow_cache/limits.h"

// The compiled programs, as data.
__asm__(
    ".section .rodata.lab_flow_cache,\"a\",@progbits\n"
    ".balign 16\n"
    ".globl lab_flow_cache_begin\n"
    "lab_flow_cache_begin:\n"
    ".incbin \"" LAB_FLOW_CACHE_OBJECT
    "\"\n"
    ".globl lab_flow_cache_end\n"
    "lab_flow_cache_end:\n"
    ".previous\n");

extern "C" const char lab_flow_cache_begin[] __attribute__((visibility("hidden")));
extern "C" const char lab_flow_cache_end[] __attribute__((visibility("hidden")));

namespace lab::overlay {
namespace {

// Whose the filters are: the priority and handle under which they stand on a device. Others have other priorities.
constexpr unsigned kPriority = 6784, kHandle = 1;

bpf_tc_hook hook_of(int device, bpf_tc_attach_point point) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = device;
  hook.attach_point = point;
  return hook;
}

bpf_tc_opts filter() {
  bpf_tc_opts opts{};
  opts.sz = sizeof opts;
  opts.handle = kHandle;
  opts.priority = kPriority;
  return opts;
}

// libbpf says on standard error what it does, at length. Of a failure the first lines are the reason.
int to_log(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char line[512];
  std::vsnprintf(line, sizeof line, format, arguments);
  log::debug("libbpf", {{"says", std::string(line)}});
  return 0;
}

}  // namespace

struct FlowCache::Programs {
  bpf_object* object = nullptr;
  ~Programs() { bpf_object__close(object); }
  int descriptor(const char* name) const { return bpf_program__fd(bpf_object__find_program_by_name(object, name)); }

  Result<void> put(int device, bpf_tc_attach_point point, const char* name) const {
    auto hook = hook_of(device, point);
    if (int done = bpf_tc_hook_create(&hook); done != 0 && done != -EEXIST) {
      return fail_errno(-done, "cannot put programs onto device " + std::to_string(device));
    }
    auto opts = filter();
    opts.prog_fd = descriptor(name);
    opts.flags = BPF_TC_F_REPLACE;
    if (int done = bpf_tc_attach(&hook, &opts); done != 0) {
      return fail_errno(-done, std::string("cannot put program ") + name + " onto device " + std::to_string(device));
    }
    return {};
  }
};

FlowCache::FlowCache(std::unique_ptr<Programs> programs, Netlink netlink)
    : programs_(std::move(programs)), netlink_(std::move(netlink)) {}
FlowCache::FlowCache(FlowCache&&) noexcept = default;
FlowCache& FlowCache::operator=(FlowCache&&) noexcept = default;
FlowCache::~FlowCache() = default;

Result<FlowCache> FlowCache::open() {
  libbpf_set_print(to_log);
  auto programs = std::make_unique<Programs>();
  programs->object = bpf_object__open_mem(lab_flow_cache_begin,
                                          static_cast<std::size_t>(lab_flow_cache_end - lab_flow_cache_begin), nullptr);
  if (!programs->object) return fail_errno("the flow cache's programs are damaged");
  if (int done = bpf_object__load(programs->object); done != 0) {
    auto error =
        fail_errno(-done, "the kernel does not take the flow cache's programs",
                   done == -EPERM ? "they need root outside of user namespaces"
                                  : "Linux 5.11 with CONFIG_BPF_SYSCALL and CONFIG_NET_CLS_BPF has what they need");
    error.error().code = Code::kUnavailable;
    return error;
  }
  LAB_TRY(auto netlink, Netlink::open());
  return FlowCache(std::move(programs), std::move(netlink));
}

// Not at open(): where tracking is a module, the firewall's first rule that asks for a connection's state loads it.
Result<void> FlowCache::set_tracking() {
  constexpr const char* kLiberal = "net/netfilter/nf_conntrack_tcp_be_liberal";
  constexpr const char* kResets = "net/netfilter/nf_conntrack_tcp_ignore_invalid_rst";  // since Linux 5.14
  if (tracking_set_ || !has_sysctl(kLiberal)) return {};
  LAB_CHECK(set_sysctl(kLiberal, "1"));
  if (has_sysctl(kResets)) LAB_CHECK(set_sysctl(kResets, "1"));
  tracking_set_ = true;
  return {};
}

Result<void> FlowCache::attach(const std::vector<std::string>& tunnels, const std::string& bridge) {
  LAB_CHECK(set_tracking());
  LAB_TRY(auto links, netlink_.links());
  int bridge_index = 0;
  for (const auto& l : links) {
    if (l.name == bridge) bridge_index = l.index;
  }
  for (const auto& l : links) {
    const bool is_tunnel = std::ranges::find(tunnels, l.name) != tunnels.end();
    const bool is_pod = bridge_index && l.master == bridge_index && l.kind == "veth";
    if ((!is_tunnel && !is_pod) || attached_.contains(l.index)) continue;
    auto done = programs_->put(l.index, BPF_TC_EGRESS, is_pod ? "learn_pod" : "learn_tunnel");
    if (done) done = programs_->put(l.index, BPF_TC_INGRESS, "lead");
    if (!done && done.error().sys_errno == ENODEV) continue;  // it went meanwhile
    LAB_CHECK(done);
    attached_.insert(l.index);
  }
  return {};
}

Result<void> FlowCache::detach(const std::vector<std::string>& tunnels, const std::string& bridge) {
  libbpf_set_print(to_log);
  LAB_TRY(auto netlink, Netlink::open());
  LAB_TRY(auto links, netlink.links());
  LAB_TRY(auto found, netlink.find_link(bridge));
  for (const auto& l : links) {
    const bool is_tunnel = std::ranges::find(tunnels, l.name) != tunnels.end();
    if (!is_tunnel && (!found || l.master != found->index)) continue;
    for (auto point : {BPF_TC_INGRESS, BPF_TC_EGRESS}) {
      auto hook = hook_of(l.index, point);
      auto opts = filter();
      // Where there is nothing, the kernel says one or the other.
      const int done = bpf_tc_detach(&hook, &opts);
      if (done != 0 && done != -ENODEV && done != -ENOENT && done != -EINVAL) {
        return fail_errno(-done, "cannot take the flow cache's program off " + l.name);
      }
    }
  }
  return {};
}

}  // namespace lab::overlay
