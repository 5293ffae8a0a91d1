#include "join/vm/xml.h"

#include <gtest/gtest.h>

namespace lab::join::vm {
namespace {

DomainShape shape() {
  return {.name = "lab-vm-w1",
          .uuid = "6e8bc430-9c3a-11d9-9669-0800200c9a66",
          .tag = {"vm", "w1"},
          .memory_bytes = 2ull << 30,
          .cpus = 3,
          .kernel = "/i/vmlinuz",
          .initrd = "/i/initrd",
          .command_line = "root=/dev/vda",
          .disk = "/v/w1.qcow2",
          .seed = "/v/w1.seed.iso",
          .network = "lab-vm",
          .mac = "52:54:00:01:02:03",
          .console_log = "/c/w1.log"};
}

TEST(Xml, TheMarkOfADomainIsReadBack) {
  EXPECT_EQ(read_tag(domain_xml(shape())), (Tag{"vm", "w1"}));
  EXPECT_EQ(read_tag(network_xml(
                {.name = "lab-vm", .bridge = "b", .tag = {"vm", ""}, .subnet = *Cidr::parse("192.168.78.0/24")})),
            (Tag{"vm", ""}));
}

TEST(Xml, OtherPeoplesDomainsHaveNoMark) {
  EXPECT_FALSE(read_tag("<domain><name>lab-vm-w1</name></domain>"));
  EXPECT_FALSE(read_tag("<domain><metadata><lab:machine xmlns:lab='urn:other' group='vm'/></metadata></domain>"));
  EXPECT_FALSE(read_tag("<domain><metadata>"));
  // Another prefix for the same namespace is the same mark: libvirt may choose it.
  EXPECT_EQ(
      read_tag("<domain><metadata><x:machine xmlns:x='urn:lab:machine:1' group='g' name='m'/></metadata></domain>"),
      (Tag{"g", "m"}));
}

TEST(Xml, ValuesAreEscaped) {
  auto s = shape();
  s.tag.machine = "a<b>&\"c";
  s.disk = "/v/<x>&.qcow2";
  const auto xml = domain_xml(s);
  EXPECT_EQ(read_tag(xml)->machine, s.tag.machine);
  EXPECT_NE(xml.find("/v/&lt;x>&amp;.qcow2"), std::string::npos) << xml;
}

TEST(Xml, ADiskBootsByItselfWithoutAKernel) {
  auto s = shape();
  EXPECT_NE(domain_xml(s).find("<kernel>/i/vmlinuz</kernel>"), std::string::npos);
  s.kernel.clear();
  const auto xml = domain_xml(s);
  EXPECT_EQ(xml.find("<kernel>"), std::string::npos);
  EXPECT_NE(xml.find("<boot dev=\"hd\""), std::string::npos) << xml;
}

TEST(Xml, ReservationsAreFoundByMac) {
  const std::string network =
      "<network><ip><dhcp><host mac='52:54:00:01:02:03' name='w1' ip='10.0.0.2'/></dhcp></ip></network>";
  auto found = find_dhcp_host(network, "52:54:00:01:02:03");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->address, "10.0.0.2");
  EXPECT_EQ(found->name, "w1");
  EXPECT_FALSE(find_dhcp_host(network, "52:54:00:01:02:04"));
  EXPECT_FALSE(find_dhcp_host("<network/>", "52:54:00:01:02:03"));
}

TEST(Xml, TheNetworksAddressesDoNotMeetReservations) {
  const auto xml =
      network_xml({.name = "n", .bridge = "b", .tag = {"vm", ""}, .subnet = *Cidr::parse("192.168.78.0/24")});
  EXPECT_NE(xml.find("address=\"192.168.78.1\" netmask=\"255.255.255.0\""), std::string::npos) << xml;
  EXPECT_NE(xml.find("start=\"192.168.78.200\" end=\"192.168.78.250\""), std::string::npos) << xml;
}

}  // namespace
}  // namespace lab::join::vm
