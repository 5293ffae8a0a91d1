#include "labs/classroom/server/auth.h"

#include <gtest/gtest.h>

#include "labs/classroom/server/throttle.h"

namespace lab::classroom {
namespace {

using std::chrono::milliseconds;

Class demo() {
  Class one;
  one.name = "demo";
  one.teacher_secret = "teachersteachersteachersab";
  one.students = {{"ada", "Ada", "adaadaadaadaadaadaadaadaad", "demo-ada"},
                  {"bob", "", "bobbobbobbobbobbobbobbobbo", "demo-bob"}};
  return one;
}

TEST(Cookies, AdmitWhoTheirLinkAdmits) {
  Cookies cookies;
  cookies.set({demo()});
  const auto ada = cookies.of({"demo", "ada"});
  ASSERT_TRUE(ada);
  EXPECT_EQ(*ada, cookie_of("adaadaadaadaadaadaadaadaad"));
  EXPECT_EQ(cookies.find(*ada)->student, "ada");
  const auto teacher = cookies.find(cookie_of(demo().teacher_secret));
  ASSERT_TRUE(teacher);
  EXPECT_EQ(teacher->class_name, "demo");
  EXPECT_EQ(teacher->student, "");
}

TEST(Cookies, AdmitNobodyElse) {
  Cookies cookies;
  cookies.set({demo()});
  const auto ada = *cookies.of({"demo", "ada"});
  EXPECT_FALSE(cookies.find(""));
  EXPECT_FALSE(cookies.find("adaadaadaadaadaadaadaadaad")) << "a link's secret is no cookie";
  EXPECT_FALSE(cookies.find(ada.substr(0, ada.size() - 1)));
  EXPECT_FALSE(cookies.find(ada + "0"));
  EXPECT_FALSE(cookies.of({"demo", "eve"}));
  EXPECT_FALSE(cookies.of({"other", "ada"}));
  Class without = demo();
  without.students.erase(without.students.begin());
  cookies.set({without});
  EXPECT_FALSE(cookies.find(ada)) << "a student who was taken out";
}

TEST(Cookies, AnEmptySecretIsNoKey) {
  Class broken = demo();
  broken.teacher_secret.clear();
  Cookies cookies;
  cookies.set({broken});
  EXPECT_FALSE(cookies.find(cookie_of("")));
}

TEST(Cookies, AreReadOutOfTheirField) {
  EXPECT_EQ(session_cookie({{"Cookie", "a=b; lab_session=xyz;c=d"}}), "xyz");
  EXPECT_EQ(session_cookie({{"Cookie", "lab_session=xyz"}, {"Cookie", "lab_session=xyz"}}), "xyz");
  EXPECT_FALSE(session_cookie({{"Cookie", "my_lab_session=xyz"}}));
  EXPECT_FALSE(session_cookie(http::Headers{}));
  // A page on the other port may have set one of its own for a longer path.
  EXPECT_FALSE(session_cookie({{"Cookie", "lab_session=mine; lab_session=theirs"}}));
}

TEST(Cookies, ThePortsNeverSeeTheSession) {
  EXPECT_EQ(without_session("lab_session=xyz"), "");
  EXPECT_EQ(without_session("a=b; lab_session=xyz; c=d"), "a=b; c=d");
  EXPECT_EQ(without_session("a=b;lab_session=x;lab_session=y"), "a=b");
  EXPECT_EQ(without_session("lab_sessions=kept"), "lab_sessions=kept");
}

TEST(Cookies, AreForTheServerAlone) {
  EXPECT_EQ(set_cookie("xyz", true), set_cookie("xyz", false) + "; Secure");
  const auto field = set_cookie("xyz", false);
  for (const char* part : {"lab_session=xyz;", "HttpOnly", "SameSite=Strict", "Path=/"})
    EXPECT_NE(field.find(part), std::string::npos) << part;
}

TEST(Origin, MustBeThisVeryServer) {
  EXPECT_TRUE(same_origin({{"Host", "lab:8080"}, {"Origin", "http://lab:8080"}}, false));
  EXPECT_TRUE(same_origin({{"Host", "lab.school"}, {"Origin", "https://lab.school"}}, false));
  EXPECT_FALSE(same_origin({{"Host", "lab:8080"}, {"Origin", "http://lab:8081"}}, false)) << "the second port";
  EXPECT_TRUE(same_origin({{"Host", "lab:8080"}, {"Origin", "https://lab:8080"}}, true));
  EXPECT_FALSE(same_origin({{"Host", "lab:8080"}, {"Origin", "http://lab:8080"}}, true)) << "a page in the clear";
  EXPECT_FALSE(same_origin({{"Host", "lab:8080"}, {"Origin", "http://lab"}}, false));
  EXPECT_FALSE(same_origin({{"Host", "lab:8080"}, {"Origin", "null"}}, false));
  EXPECT_FALSE(same_origin({{"Host", "lab:8080"}}, false));
  EXPECT_FALSE(same_origin({{"Origin", "http://"}}, false));
}

TEST(Client, IsKnownByItsAddress) {
  EXPECT_EQ(client_key("192.168.1.7:51234"), "192.168.1.7");
  EXPECT_EQ(client_key("[2001:db8:1:2:aaaa::1]:99"), client_key("[2001:db8:1:2:bbbb::9]:7"))
      << "one host has a whole /64";
  EXPECT_NE(client_key("[2001:db8:1:2::1]:99"), client_key("[2001:db8:1:3::1]:99"));
}

TEST(Throttle, AnswersEverMoreSlowly) {
  Throttle throttle;
  const auto now = Throttle::TimePoint{} + std::chrono::hours(1);
  milliseconds before{0};
  for (int i = 0; i < 12; ++i) {
    const auto delay = throttle.wrong("a", now);
    ASSERT_TRUE(delay);
    EXPECT_GE(*delay, before);
    before = *delay;
    throttle.done("a");
  }
  EXPECT_EQ(before, Throttle::kLongestDelay);
  EXPECT_EQ(*throttle.wrong("b", now), Throttle::kFirstDelay) << "another address starts anew";
}

TEST(Throttle, ForgivesWithTime) {
  Throttle throttle;
  auto now = Throttle::TimePoint{} + std::chrono::hours(1);
  for (int i = 0; i < 8; ++i) {
    (void)throttle.wrong("a", now);
    throttle.done("a");
  }
  const auto soon = *throttle.wrong("a", now + Throttle::kForgiven);
  throttle.done("a");
  EXPECT_LT(soon, Throttle::kLongestDelay);
  EXPECT_GT(soon, Throttle::kFirstDelay);
  EXPECT_EQ(*throttle.wrong("a", now + std::chrono::hours(24 * 365)), Throttle::kFirstDelay);
}

TEST(Throttle, FewAnswersOfAnAddressWaitAtTheSameTime) {
  Throttle throttle;
  const auto now = Throttle::TimePoint{} + std::chrono::hours(1);
  for (int i = 0; i < Throttle::kMostWaiting; ++i) EXPECT_TRUE(throttle.wrong("a", now));
  EXPECT_FALSE(throttle.wrong("a", now));
  throttle.done("a");
  EXPECT_TRUE(throttle.wrong("a", now));
}

TEST(Throttle, ItsMemoryIsBounded) {
  Throttle throttle;
  auto now = Throttle::TimePoint{} + std::chrono::hours(1);
  int waiting = 0;
  for (int i = 0; i < 20000; ++i) {
    const auto address = "address " + std::to_string(i);
    now += milliseconds(1);
    if (!throttle.wrong(address, now)) continue;
    if (i % 30 == 0)
      ++waiting;
    else
      throttle.done(address);
  }
  EXPECT_LE(throttle.addresses(), Throttle::kMostAddresses);
  EXPECT_LE(waiting, Throttle::kMostWaitingOfAll);
}

}  // namespace
}  // namespace lab::classroom
