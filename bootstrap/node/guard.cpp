#include "bootstrap/node/guard.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lab::bootstrap {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr std::uint32_t kFirstForeign = 0x40000000;  // x32
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
constexpr std::uint32_t kFirstForeign = 0xffffffff;
#else
#error "which calls does this architecture have?"
#endif

constexpr std::uint32_t kRefused[] = {
    SYS_kexec_load, SYS_kexec_file_load, SYS_init_module,   SYS_finit_module,  SYS_delete_module, SYS_open_by_handle_at,
    SYS_bpf,        SYS_perf_event_open, SYS_userfaultfd,   SYS_swapon,        SYS_swapoff,       SYS_acct,
    SYS_quotactl,   SYS_settimeofday,    SYS_clock_settime, SYS_clock_adjtime, SYS_adjtimex,
#if defined(__x86_64__)
    SYS_iopl,       SYS_ioperm,
#endif
};

sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
sock_filter answer(std::uint32_t what) {
  return BPF_STMT(BPF_RET | BPF_K, what);
}
// Runs the next statement only when the loaded word is the value.
sock_filter unless_equal_skip(std::uint32_t value) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
}

std::vector<sock_filter> program() {
  std::vector<sock_filter> out{load(offsetof(seccomp_data, arch)),
                               BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
                               answer(SECCOMP_RET_ERRNO | ENOSYS),
                               load(offsetof(seccomp_data, nr)),
                               BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kFirstForeign, 0, 1),
                               answer(SECCOMP_RET_ERRNO | ENOSYS)};
  for (std::uint32_t call : kRefused) {
    out.push_back(unless_equal_skip(call));
    out.push_back(answer(SECCOMP_RET_ERRNO | EPERM));
  }
  out.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3));
  out.push_back(load(offsetof(seccomp_data, args)));  // the low word on little-endian machines
  out.push_back(unless_equal_skip(AF_VSOCK));
  out.push_back(answer(SECCOMP_RET_ERRNO | EAFNOSUPPORT));
  out.push_back(answer(SECCOMP_RET_ALLOW));
  return out;
}

}  // namespace

Result<void> guard_process() {
  auto statements = program();
  const sock_fprog filter{.len = static_cast<unsigned short>(statements.size()), .filter = statements.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) return fail_errno("limit the node's system calls");
  return {};
}

}  // namespace lab::bootstrap
