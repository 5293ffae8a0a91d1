#include "base/netlink/address.h"

#include <gtest/gtest.h>

namespace lab {
namespace {

TEST(IpAddress, TextRoundTrip) {
  for (const char* text : {"10.0.0.1", "0.0.0.0", "255.255.255.255", "::1", "fd00::1:2", "2001:db8::8a2e:370:7334"}) {
    auto a = IpAddress::parse(text);
    ASSERT_TRUE(a) << text;
    EXPECT_EQ(a->text(), text);
  }
}

TEST(IpAddress, RefusesWhatIsNone) {
  for (const char* text : {"", "10.0.0", "10.0.0.256", "010.0.0.1", "1.2.3.4 ", "::g", "localhost", "1.2.3.4/8"}) {
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  }
}

TEST(IpAddress, ValueIsInHostOrder) {
  EXPECT_EQ(IpAddress::v4(0x0a010203).text(), "10.1.2.3");
  EXPECT_EQ(IpAddress::parse("10.1.2.3")->v4_value(), 0x0a010203u);
  EXPECT_TRUE(IpAddress().empty());
  EXPECT_LT(*IpAddress::parse("9.255.0.1"), *IpAddress::parse("10.0.0.1"));
}

TEST(Cidr, NetworkAndMembers) {
  auto c = *Cidr::parse("10.244.1.77/24");
  EXPECT_EQ(c.network().text(), "10.244.1.0/24");
  EXPECT_TRUE(c.contains(*IpAddress::parse("10.244.1.255")));
  EXPECT_FALSE(c.contains(*IpAddress::parse("10.244.2.0")));
  EXPECT_FALSE(c.contains(*IpAddress::parse("::1")));
  EXPECT_EQ(c.at(1).text(), "10.244.1.1");
  EXPECT_EQ(c.size(), 256u);
  auto odd = *Cidr::parse("172.16.99.1/19");
  EXPECT_EQ(odd.network().text(), "172.16.96.0/19");
  EXPECT_TRUE(Cidr::parse("0.0.0.0/0")->contains(*IpAddress::parse("8.8.8.8")));
}

TEST(Cidr, Overlap) {
  auto wide = *Cidr::parse("10.0.0.0/8"), narrow = *Cidr::parse("10.244.0.0/16"), other = *Cidr::parse("11.0.0.0/8");
  EXPECT_TRUE(wide.overlaps(narrow));
  EXPECT_TRUE(narrow.overlaps(wide));
  EXPECT_FALSE(other.overlaps(wide));
}

TEST(Cidr, RefusesWhatIsNone) {
  for (const char* text : {"", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "x/8"}) {
    EXPECT_FALSE(Cidr::parse(text)) << text;
  }
}

TEST(MacAddress, ParseAndSeed) {
  EXPECT_EQ(MacAddress::parse("02:1f:aa:00:ff:10")->text(), "02:1f:aa:00:ff:10");
  for (const char* text : {"", "02:1f:aa:00:ff", "02-1f-aa-00-ff-10", "02:1f:aa:00:ff:1g"}) {
    EXPECT_FALSE(MacAddress::parse(text)) << text;
  }
  auto a = MacAddress::from_seed("node1"), b = MacAddress::from_seed("node2");
  EXPECT_EQ(a, MacAddress::from_seed("node1"));
  EXPECT_NE(a, b);
  EXPECT_EQ(a.bytes[0] & 3, 2);  // locally administered, unicast
}

}  // namespace
}  // namespace lab
