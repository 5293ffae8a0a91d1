// Names of labs, and what is refused before anything is touched.
#include "bootstrap/local/profile.h"

#include <gtest/gtest.h>

namespace lab::bootstrap {
namespace {

TEST(Profile, NamesAreThoseThatFitEverywhere) {
  for (const char* good : {"lab", "l", "my-lab-2"}) EXPECT_TRUE(check_profile_name(good)) << good;
  for (const std::string& bad : {std::string(), std::string("Lab"), std::string("2lab"), std::string("-x"),
                                 std::string("a/b"), std::string(".."), std::string("a b"), std::string(41, 'a')}) {
    auto r = check_profile_name(bad);
    ASSERT_FALSE(r) << bad;
    EXPECT_EQ(r.error().code, Code::kInvalid);
  }
}

TEST(Profile, AnAbsentOneSaysHowToMakeIt) {
  auto absent = load_profile("test-of-an-absent-lab");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  EXPECT_EQ(absent.error().hint, "make it: lab start --profile test-of-an-absent-lab");
  EXPECT_EQ(load_profile("../../etc").error().code, Code::kInvalid);
}

TEST(Profile, ThePodNetworkIsRemembered) {
  Profile p;
  EXPECT_EQ(decode_profile("lab", encode_profile(p)).ipam, "podcidr");
  EXPECT_FALSE(decode_profile("lab", encode_profile(p)).encrypt);
  p.encrypt = true;
  p.ipam = "ring";
  EXPECT_EQ(decode_profile("lab", encode_profile(p)).ipam, "ring");
  EXPECT_TRUE(decode_profile("lab", encode_profile(p)).encrypt);
}

TEST(Profile, LimitsAndUsersAreRemembered) {
  Profile p;
  EXPECT_EQ(decode_profile("lab", encode_profile(p)).isolation, Isolation{});
  p.isolation = {.limits = {.memory_bytes = 3ull << 30, .cpus = 1.5, .pids = 900, .disk_bytes = 5ull << 30},
                 .users = {0x70010000}};
  EXPECT_EQ(decode_profile("lab", encode_profile(p)).isolation, p.isolation);
  p.isolation.limits.cpus = 2;  // a whole number is another kind of JSON
  EXPECT_EQ(decode_profile("lab", encode_profile(p)).isolation, p.isolation);
}

TEST(Profile, TheDriverMustExist) {
  Profile p;
  p.driver = "unheard-of";
  auto driver = make_driver(p);
  ASSERT_FALSE(driver);
  EXPECT_NE(driver.error().message.find("unheard-of"), std::string::npos);
}

}  // namespace
}  // namespace lab::bootstrap
