#include "join/ssh/target.h"

#include <gtest/gtest.h>

namespace lab::join::ssh {
namespace {

TEST(Target, IsReadInAllItsForms) {
  struct Case {
    const char* text;
    Target want;
  };
  for (const auto& c : {
           Case{"10.0.0.3", {"", "10.0.0.3", 0}},
           Case{"root@10.0.0.3", {"root", "10.0.0.3", 0}},
           Case{"root@10.0.0.3:2222", {"root", "10.0.0.3", 2222}},
           Case{"student@pc-7.school.example:22", {"student", "pc-7.school.example", 22}},
           Case{"ssh://root@node1:65535", {"root", "node1", 65535}},
           Case{"root@fd00::3", {"root", "fd00::3", 0}},
           Case{"root@[fd00::3]", {"root", "fd00::3", 0}},
           Case{"root@[fe80::1%eth0]:2222", {"root", "fe80::1%eth0", 2222}},
           Case{"first.last@host", {"first.last", "host", 0}},
       }) {
    auto got = parse_target(c.text);
    ASSERT_TRUE(got) << c.text << ": " << got.error().text();
    EXPECT_EQ(*got, c.want) << c.text;
  }
}

TEST(Target, SaysWhatIsWrong) {
  struct Case {
    const char* text;
    const char* says;
  };
  for (const auto& c :
       {Case{"", "address is missing"}, Case{"root@", "address is missing"}, Case{"@host", "user"},
        Case{"root@:22", "address is missing"}, Case{"root@host:", "is no port"}, Case{"root@host:0", "is no port"},
        Case{"root@host:65536", "is no port"}, Case{"root@host:22x", "is no port"},
        Case{"root@host:99999999999999999999", "is no port"}, Case{"root@[fd00::3", "bracket"},
        Case{"root@[fd00::3]22", "bracket"}, Case{"root@-oProxyCommand=sh", "malformed"}, Case{"-lroot@host", "user"},
        Case{"root@ho st", "malformed"}, Case{"root@host;reboot", "malformed"}, Case{"ro$(id)ot@host", "user"},
        Case{"root@ho\nst", "malformed"}}) {
    auto got = parse_target(c.text);
    ASSERT_FALSE(got) << c.text;
    EXPECT_NE(got.error().message.find(c.says), std::string::npos) << c.text << ": " << got.error().message;
    EXPECT_FALSE(got.error().hint.empty());
  }
}

TEST(Target, TextReadsBackTheSame) {
  for (const char* text : {"10.0.0.3", "root@10.0.0.3:2222", "root@fd00::3", "root@[fd00::3]:22"}) {
    auto first = parse_target(text);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->text(), text);
    EXPECT_EQ(*parse_target(first->text()), *first);
  }
}

TEST(Target, EachHostIsNamedOnce) {
  EXPECT_TRUE(parse_targets({"root@a", "root@b", "root@a:2222"}));
  for (const auto& twice :
       {std::vector<std::string>{"root@a", "root@a"}, {"root@a", "student@a"}, {"root@a", "root@b", "a:22"}}) {
    auto got = parse_targets(twice);
    ASSERT_FALSE(got);
    EXPECT_NE(got.error().message.find("named twice"), std::string::npos);
  }
  EXPECT_FALSE(parse_targets({}));
}

}  // namespace
}  // namespace lab::join::ssh
