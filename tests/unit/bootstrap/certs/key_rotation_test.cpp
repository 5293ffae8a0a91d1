// The rotation of the service accounts' key in a master's files: whose tokens hold in each step, and that each step may
// be repeated.
#include "bootstrap/certs/key_rotation.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "pki/certificate_set.h"
#include "pki/jwt.h"

namespace lab::bootstrap::certs {
namespace {

class KeyRotationFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/key-rotation-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    places_ = {.pki = name, .kubernetes = name};
    ASSERT_TRUE(pki::ensure_service_account_keys({.directory = name}));
    before_ = token();
  }
  void TearDown() override { (void)fs::remove_all(places_.pki); }

  std::string file(const std::string& name) { return fs::read_file(fs::join(places_.pki, name)).value_or(""); }
  // As the API server does with these files: signed with sa.key, good while sa.pub has the key.
  std::string token() {
    return pki::sign_jwt(*pki::PrivateKey::from_pem(file("sa.key")), json::Value{{"sub", "somebody"}});
  }
  bool good(const std::string& token) {
    auto keys = pki::public_keys(file("sa.pub"));
    return keys && pki::verify_jwt(*keys, token);
  }
  CaStep step() { return key_rotation(places_)->step; }

  Places places_;
  std::string before_;
};

TEST_F(KeyRotationFiles, TokensHoldUntilTheLastStep) {
  EXPECT_EQ(step(), CaStep::kNone);
  ASSERT_TRUE(prepare_key(places_));
  EXPECT_EQ(step(), CaStep::kPrepared);
  EXPECT_TRUE(good(before_));
  EXPECT_EQ(pki::token_key_id(token()), key_rotation(places_)->old_id) << "the old one signs";
  ASSERT_TRUE(switch_key(places_));
  EXPECT_EQ(step(), CaStep::kSwitched);
  const auto now = token();
  EXPECT_EQ(pki::token_key_id(now), key_rotation(places_)->new_id);
  EXPECT_TRUE(good(before_));
  EXPECT_TRUE(good(now));
  ASSERT_TRUE(finish_key(places_));
  EXPECT_FALSE(good(before_));
  EXPECT_TRUE(good(now));
  ASSERT_TRUE(finish_key(places_));
  ASSERT_TRUE(forget_old_key(places_));
  EXPECT_EQ(step(), CaStep::kNone);
  EXPECT_TRUE(good(token()));
  EXPECT_FALSE(finish_key(places_)) << "none is under way";
}

TEST_F(KeyRotationFiles, StepsMayBeRepeatedAndNotSkipped) {
  EXPECT_FALSE(switch_key(places_));
  ASSERT_TRUE(prepare_key(places_));
  const auto first = key_rotation(places_)->new_id;
  ASSERT_TRUE(prepare_key(places_));
  EXPECT_EQ(key_rotation(places_)->new_id, first) << "no third key";
  EXPECT_FALSE(finish_key(places_)) << "the old one still signs";
  ASSERT_TRUE(switch_key(places_));
  ASSERT_TRUE(switch_key(places_));
  EXPECT_EQ(key_rotation(places_)->signer, first);
  EXPECT_FALSE(prepare_key(places_));
}

// The private key went over, and the power with it.
TEST_F(KeyRotationFiles, ASwitchThatWasCutOffCompletes) {
  ASSERT_TRUE(prepare_key(places_));
  ASSERT_TRUE(fs::write_file(fs::join(places_.pki, "sa.key"), file("sa-rotation/new.key"), 0600));
  EXPECT_EQ(step(), CaStep::kSwitched);
  EXPECT_TRUE(good(before_));
  EXPECT_TRUE(good(token()));
  ASSERT_TRUE(switch_key(places_));
  EXPECT_TRUE(good(before_));
}

// A master that joined after the switch was given sa.key and sa.pub alone.
TEST_F(KeyRotationFiles, OneThatJoinedInTheMiddleFinishes) {
  ASSERT_TRUE(prepare_key(places_));
  ASSERT_TRUE(switch_key(places_));
  ASSERT_TRUE(forget_old_key(places_));
  EXPECT_EQ(step(), CaStep::kNone);
  EXPECT_EQ(key_rotation(places_)->accepted.size(), 2u);
  ASSERT_TRUE(finish_key(places_));
  EXPECT_EQ(key_rotation(places_)->accepted.size(), 1u);
  EXPECT_TRUE(good(token()));
}

TEST_F(KeyRotationFiles, TheStepThatIsServedIsKept) {
  EXPECT_EQ(served_key_step(places_), CaStep::kNone);
  ASSERT_TRUE(prepare_key(places_));
  EXPECT_EQ(served_key_step(places_), CaStep::kNone) << "no API server has these files yet";
  ASSERT_TRUE(mark_key_served(places_));
  EXPECT_EQ(served_key_step(places_), CaStep::kPrepared);
  struct stat s{};
  ASSERT_EQ(::stat(fs::join(places_.pki, "sa-rotation/new.key").c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777, 0600u);
}

}  // namespace
}  // namespace lab::bootstrap::certs
