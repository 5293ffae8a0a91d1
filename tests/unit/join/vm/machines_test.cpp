// Machines on libvirt's own test driver: nothing boots, but every object is libvirt's. Its connections share one world
// as long as one of them is open.
#include "join/vm/machines.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <future>

#include "base/fs.h"
#include "bootstrap/node/network_lock.h"
#include "join/vm/xml.h"

namespace lab::join::vm {
namespace {

constexpr const char* kUri = "test:///default";

class MachinesTest : public testing::Test {
 protected:
  MachinesTest() {
    char name[] = "/tmp/lab-machines-XXXXXX";
    directory_ = ::mkdtemp(name);
    // A qcow2's head is all that is asked of an image here.
    std::string head = std::string("QFI\xfb\0\0\0\3", 8) + std::string(16, '\0') + std::string("\0\0\0\2\0\0\0\0", 8) +
                       std::string(480, '\0');
    EXPECT_TRUE(fs::write_file(fs::join(directory_, "base.qcow2"), head));
  }
  ~MachinesTest() override { (void)fs::remove_all(directory_); }

  void SetUp() override {
    auto libvirt = Libvirt::open(kUri);
    ASSERT_TRUE(libvirt) << libvirt.error().text();
    libvirt_ = std::move(*libvirt);
    machines_ = open();
    auto image = open_image(fs::join(directory_, "base.qcow2"));
    ASSERT_TRUE(image) << image.error().text();
    image_ = *image;
  }
  std::unique_ptr<Machines> open() {
    auto machines =
        Machines::open({.uri = kUri, .group = "vm", .directory = fs::join(directory_, "vm"), .domain_type = "test"});
    EXPECT_TRUE(machines) << machines.error().text();
    return std::move(*machines);
  }
  Machine make(const std::string& name) {
    auto machine = machines_->make({.name = name, .memory_bytes = 512ull << 20, .cpus = 1}, image_);
    EXPECT_TRUE(machine) << machine.error().text();
    return machine.value_or(Machine{});
  }
  // What libvirt has of ours; its test driver brings a domain, a network and a pool of its own.
  std::vector<std::string> traces() {
    std::vector<std::string> out;
    for (const auto& d : libvirt_->domains().value())
      if (d.name != "test") out.push_back("domain " + d.name);
    if (libvirt_->network("lab-vm")) out.push_back("network");
    for (const auto& v : libvirt_->volumes("lab-vm").value()) out.push_back("volume " + v);
    if (auto names = fs::list_dir(fs::join(directory_, "vm/volumes")))
      for (const auto& name : *names) out.push_back("file " + name);
    return out;
  }
  bool has(const std::string& trace) {
    const auto all = traces();
    return std::find(all.begin(), all.end(), trace) != all.end();
  }

  std::string directory_;
  Image image_;
  std::unique_ptr<Libvirt> libvirt_;  // keeps the test driver's world alive
  std::unique_ptr<Machines> machines_;
};

TEST_F(MachinesTest, AMachineIsMadeMarkedAndRecorded) {
  const auto m = make("w1");
  EXPECT_TRUE(m.whole);
  EXPECT_TRUE(has("domain lab-vm-w1"));
  EXPECT_TRUE(has("volume w1.qcow2"));
  EXPECT_TRUE(has("file w1.seed.iso"));
  auto domain = libvirt_->domain("lab-vm-w1");
  ASSERT_TRUE(domain);
  EXPECT_TRUE(domain->active);
  EXPECT_EQ(read_tag(domain->xml), (Tag{"vm", "w1"}));
  auto network = libvirt_->network("lab-vm");
  ASSERT_TRUE(network);
  auto host = find_dhcp_host(network->xml, m.mac);
  ASSERT_TRUE(host) << network->xml;
  EXPECT_EQ(host->address, m.address);
  auto known = fs::read_file(machines_->write_known_hosts().value());
  EXPECT_EQ(*known, m.address + " " + m.host_key + "\n");
}

// While a lab's network is being chosen the group's is not, and then it is another one.
TEST_F(MachinesTest, ItsNetworkIsChosenWhenNobodyElseChooses) {
  const auto free = bootstrap::choose_network().value();
  bool asked = false;
  machines_ = Machines::open({.uri = kUri, .group = "vm", .directory = fs::join(directory_, "vm"), .domain_type = "test",
                              .promised = [&] {
                                asked = true;
                                return std::vector<bootstrap::LabNetwork>{free};
                              }})
                  .value();
  std::optional<FileLock> lab(bootstrap::lock_networks().value());
  auto made = std::async(std::launch::async, [&] { return make("w1"); });
  EXPECT_EQ(made.wait_for(std::chrono::milliseconds(300)), std::future_status::timeout);
  EXPECT_FALSE(asked);
  lab.reset();
  const auto m = made.get();
  EXPECT_TRUE(asked);
  EXPECT_FALSE(free.subnet.overlaps(Cidr::host(*IpAddress::parse(m.address)))) << m.address;
}

TEST_F(MachinesTest, MakingItAgainChangesNothing) {
  const auto first = make("w1"), again = make("w1");
  EXPECT_EQ(first.uuid, again.uuid);
  EXPECT_EQ(first.host_key, again.host_key);
  EXPECT_EQ(machines_->list()->size(), 1u);
}

TEST_F(MachinesTest, AddressesAreUsedAgainOnlyWhenTheyAreFree) {
  const auto a = make("a"), b = make("b");
  EXPECT_NE(a.address, b.address);
  EXPECT_NE(a.mac, b.mac);
  ASSERT_TRUE(machines_->remove("a"));
  EXPECT_EQ(make("c").address, a.address);
}

TEST_F(MachinesTest, RemovingIsCompleteAndMayBeRepeated) {
  make("w1");
  make("w2");
  ASSERT_TRUE(machines_->remove("w1"));
  ASSERT_TRUE(machines_->remove("w1"));
  EXPECT_FALSE(has("domain lab-vm-w1"));
  EXPECT_FALSE(has("volume w1.qcow2"));
  EXPECT_FALSE(has("file w1.seed.iso"));
  EXPECT_TRUE(has("domain lab-vm-w2"));
  for (int i = 0; i < 2; ++i) {
    auto done = machines_->remove_all();
    ASSERT_TRUE(done) << done.error().text();
    EXPECT_EQ(traces(), std::vector<std::string>{});
    EXPECT_FALSE(fs::exists(fs::join(directory_, "vm")));
  }
}

// As a call leaves it that was killed: each of these is what stands after one more step.
TEST_F(MachinesTest, WhatAKilledCallLeftGoesWithTheNextOne) {
  make("other");
  Records records(fs::join(directory_, "vm/machines"));
  for (int steps = 0; steps < 4; ++steps) {
    auto whole = make("w1");
    whole.whole = false;
    ASSERT_TRUE(records.save(whole));
    ASSERT_TRUE(libvirt_->destroy_domain("lab-vm-w1"));
    if (steps < 3) ASSERT_TRUE(libvirt_->undefine_domain("lab-vm-w1"));
    if (steps < 2) ASSERT_TRUE(libvirt_->remove_volume("lab-vm", "w1.qcow2"));
    if (steps < 1) ASSERT_TRUE(fs::remove_file(fs::join(directory_, "vm/volumes/w1.seed.iso")));
    machines_ = open();  // another process
    make("w2");
    EXPECT_FALSE(has("domain lab-vm-w1")) << steps;
    EXPECT_FALSE(has("volume w1.qcow2")) << steps;
    EXPECT_FALSE(has("file w1.seed.iso")) << steps;
    EXPECT_FALSE(records.load("w1")) << steps;
    EXPECT_FALSE(find_dhcp_host(libvirt_->network("lab-vm")->xml, whole.mac)) << steps;
    ASSERT_TRUE(has("domain lab-vm-other"));
    ASSERT_TRUE(machines_->remove("w2"));
  }
}

TEST_F(MachinesTest, AFailedCreationLeavesNothing) {
  make("other");
  const auto before = traces();
  Image bad = image_;
  bad.bytes = 1ull << 62;  // no pool has room for it
  auto machine = machines_->make({.name = "w1", .memory_bytes = 512ull << 20, .cpus = 1}, bad);
  ASSERT_FALSE(machine);
  EXPECT_EQ(traces(), before);
  EXPECT_EQ(machines_->list()->size(), 1u);
}

TEST_F(MachinesTest, OtherPeoplesDomainsAreLeftAlone) {
  ASSERT_TRUE(libvirt_->define_domain(
      "<domain type='test'><name>lab-vm-w1</name><memory>8192</memory><os><type>hvm</type></os></domain>"));
  auto machine = machines_->make({.name = "w1", .memory_bytes = 512ull << 20, .cpus = 1}, image_);
  ASSERT_FALSE(machine);
  EXPECT_NE(machine.error().message.find("was not made by lab"), std::string::npos) << machine.error().text();
  EXPECT_TRUE(has("domain lab-vm-w1"));
}

TEST_F(MachinesTest, ADomainTakenOutByHandComesBackWithItsDisk) {
  const auto m = make("w1");
  ASSERT_TRUE(libvirt_->destroy_domain("lab-vm-w1"));
  ASSERT_TRUE(libvirt_->undefine_domain("lab-vm-w1"));
  EXPECT_EQ(make("w1").uuid, m.uuid);
  EXPECT_TRUE(libvirt_->domain("lab-vm-w1")->active);
}

TEST_F(MachinesTest, EventsSayThatAMachineStopped) {
  const auto m = make("w1");
  ASSERT_TRUE(libvirt_->destroy_domain("lab-vm-w1"));
  bool stopped = false;
  while (!stopped) {
    auto event = libvirt_->next_event("lab-vm-w1", std::chrono::seconds(30));
    ASSERT_TRUE(event) << "no event says that it stopped";
    stopped = event->kind == DomainEvent::kStopped;
  }
  EXPECT_FALSE(libvirt_->next_event("lab-vm-other", std::chrono::milliseconds(1)));
}

TEST_F(MachinesTest, OneThatDoesNotRunIsNotWaitedFor) {
  const auto m = make("w1");
  ASSERT_TRUE(libvirt_->destroy_domain("lab-vm-w1"));
  auto up = machines_->wait_up(m, std::chrono::seconds(60), [](const std::string&) {});
  ASSERT_FALSE(up);
  EXPECT_NE(up.error().message.find("is not running"), std::string::npos) << up.error().text();
}

TEST_F(MachinesTest, NamesAreChecked) {
  for (const char* name : {"", "W1", "a b", "-a", "../x", "a_b"})
    EXPECT_FALSE(machines_->make({.name = name, .memory_bytes = 512ull << 20, .cpus = 1}, image_)) << name;
}

TEST(Libvirt, NoDaemonIsSaidWithWhatToDo) {
  auto libvirt = Libvirt::open("qemu+unix:///system?socket=/tmp/there-is-no-such-socket");
  ASSERT_FALSE(libvirt);
  EXPECT_EQ(libvirt.error().code, Code::kUnavailable);
  EXPECT_NE(libvirt.error().hint.find("apt-get install"), std::string::npos);
}

}  // namespace
}  // namespace lab::join::vm
