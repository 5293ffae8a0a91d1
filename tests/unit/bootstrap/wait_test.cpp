// What a wait says: never that it timed out and nothing else.
#include <gtest/gtest.h>

#include "bootstrap/common/cluster.h"

namespace lab::bootstrap {
namespace {

TEST(Wait, ThatEndsInVainNamesWhatWasLackingTheLastStateAndTheNextCommand) {
  int asked = 0;
  std::vector<std::string> told;
  auto r = wait_until(
      std::chrono::seconds(2), "node \"a\" to be Ready", "see the agent's log: journalctl -u lab-agent -n 50",
      [&]() -> Result<void> {
        return fail(Code::kUnavailable, "the runtime does not answer, try " + std::to_string(++asked));
      },
      [&](const std::string& state) { told.push_back(state); });
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kTimeout);
  EXPECT_EQ(r.error().message,
            "node \"a\" to be Ready did not come about within 2 s; last seen: the runtime does not answer, try " +
                std::to_string(asked));
  EXPECT_EQ(r.error().hint, "see the agent's log: journalctl -u lab-agent -n 50");
  EXPECT_GT(asked, 3);
  ASSERT_FALSE(told.empty()) << "who watches is told about every second what is still missing";
  EXPECT_TRUE(told[0].starts_with("the runtime does not answer, try ")) << told[0];
}

TEST(Wait, EndsAsSoonAsItHolds) {
  int asked = 0;
  EXPECT_TRUE(wait_until(std::chrono::seconds(60), "", "", [&]() -> Result<void> {
    if (++asked < 3) return fail(Code::kUnavailable, "not yet");
    return {};
  }));
  EXPECT_EQ(asked, 3);
}

}  // namespace
}  // namespace lab::bootstrap
