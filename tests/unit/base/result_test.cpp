// Errors and the macros that hand them on.
#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <vector>

namespace lab {
namespace {

Result<int> half(int n) {
  if (n % 2) return fail(Code::kInvalid, std::to_string(n) + " is odd", "give an even number");
  return n / 2;
}
Result<void> must_be_even(int n) {
  LAB_CHECK(half(n));
  return {};
}
Result<std::string> quarter(int n, std::vector<std::string>& steps) {
  steps.push_back("begin");
  LAB_TRY(auto once, half(n));
  steps.push_back("once");
  LAB_TRY(const int twice, half(once));
  steps.push_back("twice");
  return std::to_string(twice);
}

TEST(Result, TryAssignsOrReturnsAtOnce) {
  std::vector<std::string> steps;
  EXPECT_EQ(*quarter(12, steps), "3");
  EXPECT_EQ(steps, (std::vector<std::string>{"begin", "once", "twice"}));
  steps.clear();
  auto failed = quarter(6, steps);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "3 is odd");
  EXPECT_EQ(failed.error().hint, "give an even number");
  EXPECT_EQ(steps, (std::vector<std::string>{"begin", "once"})) << "nothing after the failing line runs";
}

TEST(Result, CheckPassesOnlyErrors) {
  EXPECT_TRUE(must_be_even(2));
  auto failed = must_be_even(3);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kInvalid);
}

// The argument is evaluated once, and values that cannot be copied are moved.
Result<std::unique_ptr<int>> made(int& calls) {
  ++calls;
  return std::make_unique<int>(7);
}
Result<int> uses_moved(int& calls) {
  LAB_TRY(auto pointer, made(calls));
  if (calls == 1) LAB_CHECK(Result<void>{});  // stands as one statement under an if
  return *pointer;
}
TEST(Result, TryMovesAndEvaluatesOnce) {
  int calls = 0;
  EXPECT_EQ(*uses_moved(calls), 7);
  EXPECT_EQ(calls, 1);
}

Result<int> assigns_to_what_is_there(int n) {
  int out = -1;
  LAB_TRY(out, half(n));
  return out;
}
TEST(Result, TryAssignsToAnExistingVariable) {
  EXPECT_EQ(*assigns_to_what_is_there(8), 4);
  EXPECT_FALSE(assigns_to_what_is_there(7));
}

TEST(Error, TellsWhatWhyAndWhatNext) {
  errno = ENOSPC;
  auto failed = fail_errno("write /x", "free some space");
  EXPECT_EQ(failed.error().code, Code::kIo);
  EXPECT_EQ(failed.error().sys_errno, ENOSPC);
  EXPECT_EQ(failed.error().text(), "write /x: No space left on device; free some space");
  auto outer = std::move(failed).error().with_context("phase certs").with_context("init");
  EXPECT_EQ(outer.text(), "init: phase certs: write /x: No space left on device; free some space");
  EXPECT_EQ(outer.hint, "free some space");
  EXPECT_EQ(fail_errno(EPERM, "kill 1").error().text(), "kill 1: Operation not permitted");
  EXPECT_EQ(fail(Code::kGone, "too old").error().text(), "too old");
}

TEST(Error, CodesAreKubernetesReasons) {
  EXPECT_EQ(reason_of(Code::kNotFound), "NotFound");
  EXPECT_EQ(http_status_of(Code::kNotFound), 404);
  EXPECT_EQ(reason_of(Code::kGone), "Expired");
  EXPECT_EQ(http_status_of(Code::kInvalid), 422);
  EXPECT_EQ(http_status_of(Code::kIo), 500);
  for (Code code : {Code::kBadRequest, Code::kUnauthorized, Code::kForbidden, Code::kNotFound, Code::kMethodNotAllowed,
                    Code::kNotAcceptable, Code::kAlreadyExists, Code::kConflict, Code::kGone, Code::kTooLarge,
                    Code::kUnsupportedMedia, Code::kInvalid, Code::kTooManyRequests, Code::kInternal,
                    Code::kUnavailable, Code::kTimeout, Code::kCancelled})
    EXPECT_EQ(code_of(http_status_of(code), reason_of(code)), code) << reason_of(code);
  // A reason we do not know: the status decides.
  EXPECT_EQ(code_of(404, "Vanished"), Code::kNotFound);
  EXPECT_EQ(code_of(599, ""), Code::kInternal);
  EXPECT_EQ(code_of(418, ""), Code::kBadRequest);
  // 409 stands for two reasons.
  EXPECT_EQ(code_of(409, "AlreadyExists"), Code::kAlreadyExists);
  EXPECT_EQ(code_of(409, "Conflict"), Code::kConflict);
}

}  // namespace
}  // namespace lab
