#include "join/vm/kvm.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace lab::join::vm {

namespace {

constexpr unsigned kLimitSeconds = 3;
constexpr std::size_t kPage = 4096;

// What went wrong, as the child's exit code.
enum Step : int { kDone, kOpen, kVersion, kMachine, kMemory, kProcessor, kRegisters, kRun, kExit };
constexpr const char* kSteps[] = {"",
                                  "open /dev/kvm",
                                  "ask KVM for its version",
                                  "make a machine",
                                  "give it memory",
                                  "make a processor",
                                  "set its registers",
                                  "run it",
                                  "see it halt"};

#if defined(__x86_64__)
// In real mode, at address 0: hlt.
Step run_one_instruction() {
  const int kvm = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) return kOpen;
  if (::ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) return kVersion;
  const int machine = ::ioctl(kvm, KVM_CREATE_VM, 0);
  if (machine < 0) return kMachine;
  void* memory = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return kMemory;
  *static_cast<unsigned char*>(memory) = 0xf4;
  kvm_userspace_memory_region region{
      .slot = 0, .memory_size = kPage, .userspace_addr = reinterpret_cast<__u64>(memory)};
  if (::ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region) < 0) return kMemory;
  const int processor = ::ioctl(machine, KVM_CREATE_VCPU, 0);
  if (processor < 0) return kProcessor;
  const int size = ::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  if (size <= 0) return kProcessor;
  void* shared = ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, processor, 0);
  if (shared == MAP_FAILED) return kProcessor;
  kvm_sregs segments{};
  if (::ioctl(processor, KVM_GET_SREGS, &segments) < 0) return kRegisters;
  segments.cs.base = 0;
  segments.cs.selector = 0;
  kvm_regs registers{};
  registers.rflags = 2;
  if (::ioctl(processor, KVM_SET_SREGS, &segments) < 0 || ::ioctl(processor, KVM_SET_REGS, &registers) < 0)
    return kRegisters;
  if (::ioctl(processor, KVM_RUN, 0) < 0) return kRun;
  return static_cast<kvm_run*>(shared)->exit_reason == KVM_EXIT_HLT ? kDone : kExit;
}
#else
// Elsewhere a machine that can be made is taken for one that runs.
Step run_one_instruction() {
  const int kvm = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (kvm < 0) return kOpen;
  if (::ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) return kVersion;
  return ::ioctl(kvm, KVM_CREATE_VM, 0) < 0 ? kMachine : kDone;
}
#endif

}  // namespace

// In a child: a KVM that hangs hangs there, and is ended by the alarm.
Result<void> try_kvm() {
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("try KVM");
  if (child == 0) {
    ::signal(SIGALRM, SIG_DFL);
    ::alarm(kLimitSeconds);
    errno = 0;
    const Step step = run_one_instruction();
    ::_exit(step == kDone ? 0 : step | (errno == EACCES || errno == EPERM ? 64 : errno == ENOENT ? 32 : 0));
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return fail(Code::kUnavailable, "KVM hangs here");
  const int code = WEXITSTATUS(status), step = code & 31;
  if (code == 0) return {};
  std::string why = std::string("KVM does not work here: cannot ") + kSteps[step < 9 ? step : 1];
  if (code & 32)
    return fail(Code::kUnavailable, why + ": there is none",
                "switch virtualisation on in the firmware's set-up, and load kvm-intel or kvm-amd");
  if (code & 64) return fail(Code::kForbidden, why + ": permission denied", "run as root, or join the group kvm");
  return fail(Code::kUnavailable, why);
}

}  // namespace lab::join::vm
