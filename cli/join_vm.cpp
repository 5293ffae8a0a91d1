#include "cli/join_vm.h"

#include <cstdio>
#include <cstdlib>
#include <future>

#include "bootstrap/common/progress.h"
#include "bootstrap/local/profile.h"
#include "cli/duration.h"
#include "cli/join_ssh.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

namespace vm = join::vm;

constexpr std::int64_t kMostMachines = 100;
constexpr std::uint64_t kLeastMemory = 512ull << 20;

// NAME, or NAME1 to NAMEn: the same command names the same machines again.
Result<std::vector<vm::MachineSpec>> specs_of(const Invocation& in) {
  const auto count = in.number("count");
  if (count < 1 || count > kMostMachines)
    return fail(Code::kInvalid, "--count: give a number from 1 to " + std::to_string(kMostMachines));
  LAB_TRY(auto memory, parse_bytes("memory", in.get("memory")));
  if (memory < kLeastMemory)
    return fail(Code::kInvalid, "--memory: a node needs at least 512Mi, and " + in.get("memory") + " is less");
  const auto cpus = in.number("cpus");
  if (cpus < 1 || cpus > 256) return fail(Code::kInvalid, "--cpus: give a number from 1 to 256");
  std::vector<vm::MachineSpec> out;
  for (std::int64_t i = 1; i <= count; ++i) {
    const std::string name = in.get("vm") + (count > 1 ? std::to_string(i) : "");
    LAB_CHECK(vm::check_machine_name(name));
    out.push_back({.name = name, .memory_bytes = memory, .cpus = static_cast<int>(cpus)});
  }
  return out;
}

Result<void> check_options(const Invocation& in) {
  LAB_CHECK(check_remote_options(in, "--vm"));
  for (const char* option : {"ssh", "identity", "password-file", "known-hosts", "accept-new-host-keys",
                             "install-missing", "no-ssh-agent", "node-name"})
    if (in.has(option))
      return fail(Code::kInvalid, std::string("--") + option + " does not go with --vm",
                  "machines made here are known and let this program in by keys of their own");
  if (in.has("token") != !in.arguments().empty())
    return fail(Code::kInvalid, "the API server's address and --token go together", "leave out both on the master");
  return {};
}

Result<std::vector<vm::Machine>> make_machines(vm::Machines& machines, const std::vector<vm::MachineSpec>& specs,
                                               const Invocation& in, bootstrap::Progress& progress) {
  progress.step("image", "Checking the base image " + in.get("image"));
  LAB_TRY(auto image, vm::open_image(in.get("image")));
  if (const auto& why = machines.emulated_because(); !why.empty())
    progress.warn(why + ": machines are emulated, which is some ten times slower");
  std::vector<vm::Machine> out;
  for (const auto& spec : specs) {
    progress.step("create", "Machine " + spec.name + ": " + std::to_string(spec.cpus) + " processors, " +
                                std::to_string(spec.memory_bytes >> 20) + " MiB");
    LAB_TRY(auto machine, machines.make(spec, image));
    if (machine.spec.memory_bytes != spec.memory_bytes || machine.spec.cpus != spec.cpus)
      progress.warn("machine " + spec.name + " was made before, and keeps its " + std::to_string(machine.spec.cpus) +
                    " processors and " + std::to_string(machine.spec.memory_bytes >> 20) + " MiB");
    out.push_back(std::move(machine));
  }
  return out;
}

// All boot at the same time. Those that come up join, whatever becomes of the others: their reasons stand in `failed`.
std::vector<vm::Machine> boot(vm::Machines& machines, const std::vector<vm::Machine>& made, std::chrono::seconds limit,
                              bootstrap::Progress& progress, std::vector<Error>& failed) {
  progress.step("boot",
                "Waiting until " + std::string(made.size() == 1 ? "it takes" : "they take") + " SSH connections");
  std::mutex mutex;
  std::vector<std::future<Result<void>>> waits;
  for (const auto& m : made)
    waits.push_back(std::async(std::launch::async, [&, m] {
      return machines.wait_up(m, limit, [&, m](const std::string& state) {
        std::lock_guard lock(mutex);
        progress.state(m.spec.name + ": " + state);
      });
    }));
  std::vector<vm::Machine> up;
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (auto done = waits[i].get(); !done)
      failed.push_back(std::move(done).error());
    else
      up.push_back(made[i]);
  }
  progress.done();
  return up;
}

Result<int> join_vms(const std::vector<vm::MachineSpec>& specs, std::chrono::seconds boot_limit, const Invocation& in) {
  std::vector<Error> failed;
  // Called when the cluster has answered: no machine is made for a cluster that is not there.
  auto hosts = [&]() -> Result<SshHosts> {
    bootstrap::Progress progress;
    LAB_TRY(auto machines, open_machines(in));
    LAB_TRY(auto made, make_machines(*machines, specs, in, progress));
    const auto up = boot(*machines, made, boot_limit, progress, failed);
    if (up.empty()) return std::unexpected(failed.front());
    SshHosts out{.person = false};
    for (const auto& m : up) out.targets.push_back({.user = "root", .host = m.address, .port = 22});
    LAB_TRY(out.connect.known_hosts, machines->write_known_hosts());
    out.connect.identity = machines->identity();
    out.connect.agent = false;
    LAB_TRY(out.connect.timeout, parse_seconds("connect-timeout", in.get("connect-timeout")));
    return out;
  };
  LAB_TRY(int code, join_hosts(hosts, in.argument(0), in));
  for (const auto& error : failed) code = report(error);
  return code;
}

}  // namespace

Option libvirt_option() {
  const char* set = std::getenv("LIBVIRT_DEFAULT_URI");
  return {
      .name = "connect", .value = "URI", .help = "The libvirt daemon", .fallback = set && *set ? set : vm::kDefaultUri};
}

Result<std::unique_ptr<vm::Machines>> open_machines(const Invocation& in) {
  return vm::Machines::open({.uri = in.get("connect"), .promised = [] {
                               std::vector<bootstrap::LabNetwork> out;
                               if (auto names = bootstrap::list_profiles())
                                 for (const auto& name : *names)
                                   if (auto lab = bootstrap::load_profile(name)) out.push_back(lab->network);
                               return out;
                             }});
}

std::vector<Option> join_vm_options() {
  return {
      {.name = "vm",
       .value = "NAME",
       .help = "Make a virtual machine of that name through libvirt and have it join, from the master"},
      {.name = "count", .value = "N", .help = "With --vm: so many, NAME1 to NAMEn", .fallback = "1"},
      {.name = "memory", .value = "SIZE", .help = "With --vm: memory of each", .fallback = "2Gi"},
      {.name = "cpus", .value = "N", .help = "With --vm: processors of each", .fallback = "2"},
      {.name = "image",
       .value = "IMAGE",
       .help = "With --vm: a base image (lab vm image list), or the file of a disk that has cloud-init",
       .fallback = vm::kDefaultImage},
      {.name = "boot-timeout",
       .value = "DURATION",
       .help = "With --vm: how long a machine may take to boot",
       .fallback = "300s"},
      libvirt_option(),
  };
}

int join_as_vms(const Invocation& in) {
  auto fits = check_options(in);
  auto specs = fits ? specs_of(in) : Result<std::vector<vm::MachineSpec>>(std::unexpected(fits.error()));
  auto limit = parse_seconds("boot-timeout", in.get("boot-timeout"));
  if (!specs || !limit) {
    report(specs ? limit.error() : specs.error());
    return kUsage;
  }
  if (in.flag("dry-run")) {
    for (const auto& s : *specs)
      std::printf(
          "%s: would make a machine with %d processors and %llu MiB from the image %s, boot it, and run lab join "
          "there\n",
          s.name.c_str(), s.cpus, static_cast<unsigned long long>(s.memory_bytes >> 20), in.get("image").c_str());
    return kDone;
  }
  auto done = join_vms(*specs, *limit, in);
  return done ? *done : report(done.error());
}

}  // namespace lab::cli
