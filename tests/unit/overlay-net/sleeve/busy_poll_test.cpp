#include "overlay-net/sleeve/busy_poll.h"

#include <gtest/gtest.h>

namespace lab::overlay {
namespace {

int tries_of(BusyPoll& poll, int rounds, bool came) {
  int tries = 0;
  for (int i = 0; i < rounds; ++i) {
    if (!poll.worthwhile()) continue;
    ++tries;
    poll.note(came);
  }
  return tries;
}

TEST(BusyPoll, GoesOnWhileItPays) {
  BusyPoll poll;
  EXPECT_GE(tries_of(poll, 1000, true), 1000 - int(BusyPoll::kTryEvery));
}

TEST(BusyPoll, GivesUpWhereNothingComesAndTriesNowAndThen) {
  BusyPoll poll;
  tries_of(poll, 100, true);
  const int tries = tries_of(poll, 1600, false);
  EXPECT_LE(tries, 100 + int(BusyPoll::kMostCredit));
  EXPECT_GE(tries, 90);
}

TEST(BusyPoll, NeedsNoMoreThanEverySecondToPay) {
  BusyPoll poll;
  tries_of(poll, 100, true);
  int tries = 0;
  for (int i = 0; i < 1000; ++i) {
    if (!poll.worthwhile()) continue;
    ++tries;
    poll.note(i % 2 == 0);
  }
  EXPECT_EQ(tries, 1000);
}

}  // namespace
}  // namespace lab::overlay
