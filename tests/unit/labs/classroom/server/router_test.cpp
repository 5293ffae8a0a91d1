#include "labs/classroom/server/router.h"

#include <gtest/gtest.h>

namespace lab::classroom {
namespace {

Task<Result<http::Response>> one(Call&) {
  co_return answered();
}
Task<Result<http::Response>> two(Call&) {
  co_return no_content();
}

Router made() {
  Router router;
  router.add("GET", "/api/students/{student}", Who::kStudent, one);
  router.add("POST", "/api/students/{student}/exercise", Who::kStudent, one);
  router.add("POST", "/api/students/{student}/exercise/reset", Who::kTeacher, two);
  router.add("PUT", "/api/students/{student}/files/{rest}", Who::kStudent, one);
  return router;
}

TEST(Router, FindsTheRowAndItsParameters) {
  const auto router = made();
  const auto found = router.find("POST", "/api/students/ada/exercise/reset");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->handler, two);
  EXPECT_EQ(found->who, Who::kTeacher);
  EXPECT_EQ(found->params.at("student"), "ada");
  EXPECT_EQ(router.find("GET", "/api/students/a%20b")->params.at("student"), "a b");
}

TEST(Router, TheRestSpansSlashes) {
  const auto found = made().find("PUT", "/api/students/ada/files/a/b%2Fc/..");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->params.at("rest"), "a/b/c/..") << "as it was sent: whoever uses it looks at it";
}

TEST(Router, SaysWhatIsWrong) {
  const auto router = made();
  EXPECT_EQ(router.find("DELETE", "/api/students/ada").error().code, Code::kMethodNotAllowed);
  for (const char* path :
       {"/api/students", "/api/students/", "/api/students/ada/", "/api/students/ada/exercise/reset/x", "/", ""})
    EXPECT_EQ(router.find("GET", path).error().code, Code::kNotFound) << path;
}

}  // namespace
}  // namespace lab::classroom
