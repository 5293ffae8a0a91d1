#include "join/vm/machines.h"

#include <sys/utsname.h>

#include <algorithm>
#include <set>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/json.h"
#include "bootstrap/node/network_lock.h"
#include "join/vm/kvm.h"
#include "join/vm/lock.h"
#include "join/vm/probe.h"
#include "join/vm/record.h"
#include "join/vm/seed.h"
#include "join/vm/xml.h"

namespace lab::join::vm {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kFirstAddress = 2, kLastAddress = 199;  // those above are the DHCP server's to give
constexpr auto kStopLimit = std::chrono::seconds(30);
constexpr auto kLook = std::chrono::milliseconds(500);
constexpr auto kTell = std::chrono::seconds(10);
constexpr std::size_t kConsoleTail = 1500;
constexpr std::uint64_t kRoomForDisk = 1ull << 30;

// The vendor's part that libvirt gives its own machines, then what depends on group and name alone.
std::string mac_of(const std::string& group, const std::string& name) {
  const std::string hex = crypto::hex_encode(crypto::sha256(group + "/" + name));
  return "52:54:00:" + hex.substr(0, 2) + ":" + hex.substr(2, 2) + ":" + hex.substr(4, 2);
}

std::string disk_volume(const std::string& name) {
  return name + ".qcow2";
}
std::string seed_volume(const std::string& name) {
  return name + ".seed.iso";
}

std::string machine_arch() {
  utsname name{};
  ::uname(&name);
  return name.machine;
}

}  // namespace

Machines::Machines(Settings settings, std::unique_ptr<Libvirt> libvirt)
    : settings_(std::move(settings)),
      libvirt_(std::move(libvirt)),
      records_(fs::join(settings_.directory, "machines")) {}

Result<std::unique_ptr<Machines>> Machines::open(Settings settings) {
  LAB_CHECK(check_machine_name(settings.group));
  if (settings.directory.empty()) settings.directory = fs::join(kGroupsDirectory, settings.group);
  LAB_TRY(auto libvirt, Libvirt::open(settings.uri));
  return std::unique_ptr<Machines>(new Machines(std::move(settings), std::move(libvirt)));
}

std::string Machines::identity() const {
  return fs::join(settings_.directory, "id_ed25519");
}
std::string Machines::volumes_directory() const {
  return fs::join(settings_.directory, "volumes");
}
std::string Machines::console_log(const std::string& name) const {
  return fs::join(settings_.directory, "consoles/" + name + ".log");
}

const std::string& Machines::emulated_because() {
  if (!kvm_tried_ && settings_.domain_type.empty()) {
    auto works = try_kvm();
    settings_.domain_type = works ? "kvm" : "qemu";
    if (!works) emulated_because_ = works.error().message;
  }
  kvm_tried_ = true;
  return emulated_because_;
}

// What all machines of the group share.
Result<void> Machines::prepare() {
  for (const auto& dir : {settings_.directory, volumes_directory(), fs::join(settings_.directory, "consoles")})
    LAB_CHECK(fs::make_dirs(dir, 0711));
  LAB_CHECK(ensure_key());
  LAB_CHECK(ensure_network());
  return libvirt_->ensure_pool(group_name(), pool_xml(group_name(), volumes_directory()));
}

// The public half is written last: where it is, both are whole.
Result<void> Machines::ensure_key() {
  if (fs::exists(identity() + ".pub")) return {};
  const SshKey key = make_ssh_key("lab-" + settings_.group);
  LAB_CHECK(fs::write_file(identity(), key.private_text, 0600));
  return fs::write_file(identity() + ".pub", key.public_line + "\n");
}

Result<void> Machines::ensure_network() {
  const std::string record = fs::join(settings_.directory, "network.json");
  auto there = libvirt_->network(group_name());
  if (!there && there.error().code != Code::kNotFound) return std::unexpected(std::move(there).error());
  if (there) {
    if (auto tag = read_tag(there->xml); !tag || tag->group != settings_.group)
      return fail(Code::kAlreadyExists, "libvirt has a network " + group_name() + " that was not made by lab",
                  "rename or remove it: virsh net-undefine " + group_name());
    return libvirt_->start_network(group_name());
  }
  // Until its link stands, by which others see that the subnet is taken.
  LAB_TRY(auto choosing, bootstrap::lock_networks());
  std::string subnet;
  if (auto text = fs::read_file(record))
    if (auto known = json::parse(*text)) subnet = json::str(*known, "subnet");
  if (subnet.empty()) {
    subnet = settings_.subnet;
    if (subnet.empty()) {
      LAB_TRY(auto chosen, bootstrap::choose_network(
                               settings_.promised ? settings_.promised() : std::vector<bootstrap::LabNetwork>{}));
      subnet = chosen.subnet.text();
    }
    LAB_CHECK(fs::write_file(record, json::dump(json::Value(json::Object{{"subnet", subnet}})) + "\n"));
  }
  auto range = Cidr::parse(subnet);
  if (!range) return fail(Code::kInvalid, record + " holds no subnet", "remove the group: lab vm delete --all");
  // Link names have at most 15 characters.
  std::string bridge = settings_.bridge;
  if (bridge.empty()) bridge = "labvm-" + crypto::hex_encode(crypto::sha256(settings_.group)).substr(0, 8);
  LAB_CHECK(libvirt_->define_network(
      network_xml({.name = group_name(), .bridge = bridge, .tag = {.group = settings_.group}, .subnet = *range})));
  return libvirt_->start_network(group_name());
}

Result<Machine> Machines::plan(const MachineSpec& spec, const Image& image) {
  LAB_TRY(auto others, records_.all());
  LAB_TRY(auto text, fs::read_file(fs::join(settings_.directory, "network.json")));
  LAB_TRY(auto network, json::parse(text));
  auto subnet = Cidr::parse(json::str(network, "subnet"));
  if (!subnet) return fail(Code::kInvalid, "the group's network has no subnet");
  std::set<std::string> taken;
  for (const auto& m : others) taken.insert(m.address);
  if (!spec.address.empty() && taken.contains(spec.address))
    return fail(Code::kAlreadyExists, "the address " + spec.address + " is another machine's",
                "lab vm list shows them");
  std::uint32_t host = kFirstAddress;
  while (host <= kLastAddress && taken.contains(subnet->at(host).text())) ++host;
  if (spec.address.empty() && host > kLastAddress)
    return fail(Code::kUnavailable, "no address is free in " + subnet->text(),
                "delete machines that are not needed: lab vm list");
  return Machine{.spec = spec,
                 .uuid = crypto::random_uuid(),
                 .mac = mac_of(settings_.group, spec.name),
                 .address = spec.address.empty() ? subnet->at(host).text() : spec.address,
                 .image = image.name,
                 .made = now_text()};
}

Result<Machine> Machines::make(const MachineSpec& spec, const Image& image) {
  LAB_CHECK(check_machine_name(spec.name));
  LAB_CHECK(fs::make_dirs(settings_.directory, 0711));
  LAB_TRY(auto lock, FileLock::take(fs::join(settings_.directory, ".lock"), "makes or deletes machines"));
  LAB_CHECK(sweep());
  LAB_CHECK(prepare());
  auto known = records_.load(spec.name);
  if (!known && known.error().code != Code::kNotFound) return known;
  if (known) {
    // It may have been taken out of libvirt by hand since; its disk is kept.
    LAB_CHECK(build(*known, image));
    return known;
  }
  LAB_TRY(auto machine, plan(spec, image));
  const SshKey host_key = make_ssh_key("root@" + spec.name);
  machine.host_key = host_key.public_line;
  LAB_CHECK(records_.save(machine));
  auto made = [&]() -> Result<void> {
    LAB_TRY(auto ours, fs::read_file(identity() + ".pub"));
    ours.erase(ours.find_last_not_of('\n') + 1);
    LAB_TRY(
        auto seed,
        seed_image(
            {.instance = "lab-" + machine.uuid, .hostname = spec.name, .host_key = host_key, .authorized_key = ours}));
    LAB_CHECK(fs::write_file(fs::join(volumes_directory(), seed_volume(spec.name)), seed, 0600));
    LAB_CHECK(libvirt_->refresh_pool(group_name()));
    return build(machine, image);
  }();
  if (!made) {
    // What cannot be removed now is removed by the next call: the record says that it is not whole.
    (void)take_apart(machine);
    return std::unexpected(std::move(made).error());
  }
  machine.whole = machine.running = true;
  LAB_CHECK(records_.save(machine));
  return machine;
}

Result<void> Machines::build(const Machine& m, const Image& image) {
  LAB_CHECK(make_disks(m, image));
  LAB_CHECK(reserve_address(m));
  LAB_CHECK(define(m, image));
  return libvirt_->start_domain(domain_name(m.spec.name));
}

Result<void> Machines::make_disks(const Machine& m, const Image& image) {
  LAB_TRY(auto there, libvirt_->volumes(group_name()));
  if (std::find(there.begin(), there.end(), disk_volume(m.spec.name)) != there.end()) return {};
  LAB_TRY(auto free, fs::free_bytes(volumes_directory()));
  if (free < kRoomForDisk)
    return fail(Code::kUnavailable,
                "no space: a machine needs " + std::to_string(kRoomForDisk >> 20) + " MiB in " + volumes_directory() +
                    ", and " + std::to_string(free >> 20) + " MiB are free",
                "free some there, or delete machines that are not needed: lab vm list");
  return libvirt_->create_volume(group_name(),
                                 overlay_xml(disk_volume(m.spec.name), image.bytes, image.disk, image.format));
}

Result<void> Machines::reserve_address(const Machine& m) {
  const DhcpHost host{.mac = m.mac, .name = m.spec.name, .address = m.address};
  LAB_TRY(auto network, libvirt_->network(group_name()));
  auto there = find_dhcp_host(network.xml, m.mac);
  if (there && there->address == m.address) return {};
  if (there) LAB_CHECK(libvirt_->remove_dhcp_host(group_name(), dhcp_host_xml(*there)));
  return libvirt_->add_dhcp_host(group_name(), dhcp_host_xml(host));
}

Result<void> Machines::define(const Machine& m, const Image& image) {
  const std::string name = domain_name(m.spec.name);
  auto there = libvirt_->domain(name);
  if (there) return check_ours(name);
  if (there.error().code != Code::kNotFound) return std::unexpected(std::move(there).error());
  emulated_because();
  return libvirt_->define_domain(domain_xml({.name = name,
                                             .uuid = m.uuid,
                                             .tag = {.group = settings_.group, .machine = m.spec.name},
                                             .type = settings_.domain_type,
                                             .arch = machine_arch(),
                                             .memory_bytes = m.spec.memory_bytes,
                                             .cpus = m.spec.cpus,
                                             .kernel = image.kernel,
                                             .initrd = image.initrd,
                                             .command_line = image.command_line,
                                             .disk = fs::join(volumes_directory(), disk_volume(m.spec.name)),
                                             .seed = fs::join(volumes_directory(), seed_volume(m.spec.name)),
                                             .network = group_name(),
                                             .mac = m.mac,
                                             .console_log = console_log(m.spec.name)}));
}

// Nobody else's domain is touched, whatever its name.
Result<void> Machines::check_ours(const std::string& domain) {
  auto there = libvirt_->domain(domain);
  if (!there && there.error().code == Code::kNotFound) return {};
  LAB_TRY(auto found, std::move(there));
  auto tag = read_tag(found.xml);
  if (tag && tag->group == settings_.group) return {};
  return fail(Code::kAlreadyExists, "libvirt has a domain " + domain + " that was not made by lab",
              "choose another name, or rename it: virsh domrename " + domain + " NEW");
}

Result<void> Machines::take_apart(const Machine& m) {
  const std::string& name = m.spec.name;
  LAB_CHECK(check_ours(domain_name(name)));
  LAB_CHECK(libvirt_->destroy_domain(domain_name(name)));
  LAB_CHECK(libvirt_->undefine_domain(domain_name(name)));
  for (const auto& volume : {disk_volume(name), seed_volume(name)}) {
    LAB_CHECK(libvirt_->remove_volume(group_name(), volume));
    LAB_CHECK(fs::remove_file(fs::join(volumes_directory(), volume)));  // the pool may not have seen it yet
  }
  auto network = libvirt_->network(group_name());
  if (!network && network.error().code != Code::kNotFound) return std::unexpected(std::move(network).error());
  if (network)
    if (auto host = find_dhcp_host(network->xml, m.mac))
      LAB_CHECK(libvirt_->remove_dhcp_host(group_name(), dhcp_host_xml(*host)));
  LAB_CHECK(fs::remove_file(console_log(name)));
  LAB_CHECK(fs::remove_file(fs::join(settings_.directory, "known_hosts-" + name)));
  return records_.forget(name);
}

// What a killed call has left. The caller holds the lock: nobody is at work on them.
Result<void> Machines::sweep() {
  LAB_TRY(auto all, records_.all());
  for (const auto& m : all)
    if (!m.whole) LAB_CHECK(take_apart(m));
  // Half a seed, before it got its name.
  if (auto files = fs::list_dir(volumes_directory()))
    for (const auto& file : *files)
      if (file.find(".tmp-") != std::string::npos) LAB_CHECK(fs::remove_file(fs::join(volumes_directory(), file)));
  return {};
}

Result<void> Machines::wait_up(const Machine& m, std::chrono::seconds limit,
                               const std::function<void(const std::string&)>& on_state) {
  const std::string domain = domain_name(m.spec.name);
  const auto begun = Clock::now();
  std::string seen = "booting";
  std::chrono::seconds told{0};
  auto failure = [&](const std::string& what) {
    const std::string tail = console_tail(m.spec.name);
    return fail(Code::kTimeout,
                "machine " + m.spec.name + " " + what + (tail.empty() ? "" : "; the end of its console:\n" + tail),
                "see " + console_log(m.spec.name) + "; make it anew: lab vm delete " + m.spec.name);
  };
  LAB_TRY(auto now, libvirt_->domain(domain));
  if (!now.active) return failure("is not running");
  for (;;) {
    if (ssh_answers(m.address)) return {};
    const auto passed = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begun);
    if (passed > limit)
      return failure("does not take SSH connections at " + m.address + " after " + std::to_string(limit.count()) +
                     " s (" + seen + ")");
    if (passed >= told) {
      on_state(seen);
      told = passed + kTell;
    }
    // Events end the wait at once; the look in between is for images without a guest agent.
    if (auto event = libvirt_->next_event(domain, kLook)) {
      if (event->kind == DomainEvent::kStopped) return failure("stopped: " + event->detail);
      if (event->kind == DomainEvent::kAgentConnected) {
        seen = "its system is up";
        told = std::chrono::seconds(0);
      }
    }
  }
}

std::string Machines::console_tail(const std::string& name) const {
  auto text = fs::read_file(console_log(name));
  if (!text) return {};
  std::string out = text->size() > kConsoleTail ? text->substr(text->size() - kConsoleTail) : *text;
  std::erase(out, '\r');
  return out;
}

Result<void> Machines::stop(const std::string& name) {
  const std::string domain = domain_name(name);
  LAB_CHECK(check_ours(domain));
  LAB_CHECK(libvirt_->shut_down_domain(domain));
  const auto deadline = Clock::now() + kStopLimit;
  for (;;) {
    auto now = libvirt_->domain(domain);
    if (!now && now.error().code == Code::kNotFound) return {};
    LAB_TRY(auto state, std::move(now));
    if (!state.active) return {};
    if (Clock::now() > deadline) return libvirt_->destroy_domain(domain);
    (void)libvirt_->next_event(domain, kLook);
  }
}

Result<void> Machines::remove(const std::string& name) {
  LAB_CHECK(check_machine_name(name));
  if (!fs::exists(settings_.directory)) return {};
  LAB_TRY(auto lock, FileLock::take(fs::join(settings_.directory, ".lock"), "makes or deletes machines"));
  LAB_CHECK(sweep());
  auto known = records_.load(name);
  if (!known && known.error().code == Code::kNotFound) return {};
  LAB_TRY(auto machine, std::move(known));
  return take_apart(machine);
}

Result<std::vector<Machine>> Machines::list() {
  LAB_TRY(auto all, records_.all());
  LAB_TRY(auto domains, libvirt_->domains());
  for (auto& m : all)
    for (const auto& d : domains)
      if (d.name == domain_name(m.spec.name)) m.running = d.active;
  return all;
}

Result<void> Machines::remove_all() {
  LAB_CHECK(fs::make_dirs(settings_.directory, 0711));
  LAB_TRY(auto lock, FileLock::take(fs::join(settings_.directory, ".lock"), "makes or deletes machines"));
  LAB_TRY(auto all, records_.all());
  for (const auto& m : all) LAB_CHECK(take_apart(m));
  LAB_TRY(auto domains, libvirt_->domains());
  for (const auto& d : domains)
    if (auto tag = read_tag(d.xml); tag && tag->group == settings_.group) {
      LAB_CHECK(libvirt_->destroy_domain(d.name));
      LAB_CHECK(libvirt_->undefine_domain(d.name));
    }
  LAB_TRY(auto volumes, libvirt_->volumes(group_name()));
  for (const auto& volume : volumes) LAB_CHECK(libvirt_->remove_volume(group_name(), volume));
  auto network = libvirt_->network(group_name());
  if (network)
    if (auto tag = read_tag(network->xml); tag && tag->group == settings_.group)
      LAB_CHECK(libvirt_->remove_network(group_name()));
  LAB_CHECK(libvirt_->remove_pool(group_name()));
  return fs::remove_all(settings_.directory);
}

Result<std::string> Machines::write_known_hosts(const std::string& machine) {
  LAB_TRY(auto all, records_.all());
  std::string text;
  for (const auto& m : all)
    if (!m.host_key.empty() && (machine.empty() || machine == m.spec.name)) text += m.address + " " + m.host_key + "\n";
  const std::string path = fs::join(settings_.directory, "known_hosts" + (machine.empty() ? "" : "-" + machine));
  LAB_CHECK(fs::write_file(path, text, 0600));
  return path;
}

}  // namespace lab::join::vm
