// A class on disk: what is written is read, whoever is killed; secrets; the lock; names of students.
#include "labs/classroom/model/class.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <set>
#include <thread>

#include "base/fs.h"
#include "labs/classroom/model/names.h"
#include "labs/classroom/model/student_lab.h"
#include "orchestrator/api/time.h"

namespace lab::classroom {
namespace {

// Where classes really lie, under a name that nobody else has.
struct ClassTest : testing::Test {
  const std::string name = "ut-" + std::to_string(::getpid());
  void TearDown() override { EXPECT_TRUE(forget_class(name)); }
  Class make(std::size_t students) const {
    Class c{.name = name, .language = "es", .exercise = "04-scaling", .nodes = 2, .node_limit = 4};
    c.limits = {.memory_bytes = 3ull << 30, .cpus = 1.5, .pids = 900, .disk_bytes = 5ull << 30};
    c.created = "2026-01-02T03:04:05Z";
    c.ends = "2026-01-02T05:04:05Z";
    c.url = "http://10.0.0.1:8080";
    c.teacher_secret = new_secret();
    for (std::size_t i = 1; i <= students; ++i)
      c.students.push_back(new_student(name, i, i == 1 ? "Añá \"Q\" <b>" : ""));
    return c;
  }
};

TEST_F(ClassTest, WhatIsWrittenIsRead) {
  const Class c = make(3);
  ASSERT_TRUE(save_class(c));
  auto r = load_class(name);
  ASSERT_TRUE(r) << r.error().text();
  EXPECT_EQ(r->language, "es");
  EXPECT_EQ(r->exercise, "04-scaling");
  EXPECT_EQ(r->nodes, 2);
  EXPECT_EQ(r->node_limit, 4);
  EXPECT_EQ(r->limits.memory_bytes, 3ull << 30);
  EXPECT_EQ(r->limits.cpus, 1.5);
  EXPECT_EQ(r->limits.pids, 900u);
  EXPECT_EQ(r->limits.disk_bytes, 5ull << 30);
  EXPECT_EQ(r->created, c.created);
  EXPECT_EQ(r->ends, c.ends);
  EXPECT_EQ(r->url, c.url);
  EXPECT_FALSE(r->paused);
  EXPECT_FALSE(r->ending);
  EXPECT_EQ(r->teacher_secret, c.teacher_secret);
  ASSERT_EQ(r->students.size(), 3u);
  EXPECT_EQ(r->students[0].title, "Añá \"Q\" <b>");
  EXPECT_EQ(r->students[1].name, "student02");
  EXPECT_EQ(r->students[1].profile, name + "-student02");
  EXPECT_EQ(r->students[2].secret, c.students[2].secret);
  EXPECT_EQ(r->find("student03"), &r->students[2]);
  EXPECT_EQ(r->find("student04"), nullptr);
  auto listed = list_classes();
  ASSERT_TRUE(listed);
  EXPECT_EQ(std::ranges::count(*listed, name), 1);
  struct stat st;
  ASSERT_EQ(::stat(fs::join(kClassesDirectory, name + "/class.json").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u) << "it holds secrets";
  ASSERT_TRUE(forget_class(name));
  auto gone = load_class(name);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, Code::kNotFound);
  EXPECT_TRUE(forget_class(name)) << "once more";
}

// A writer that is killed at any moment leaves the old class or the new one.
TEST_F(ClassTest, KilledInTheMiddleOfASave) {
  const Class c = make(150);
  ASSERT_TRUE(save_class(c));
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      Class mine = c;
      for (int i = 0;; ++i) {
        mine.nodes = 1 + i % 9;
        if (!save_class(mine)) ::_exit(1);
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5 + 3 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it was to be killed, not to fail";
    auto r = load_class(name);
    ASSERT_TRUE(r) << r.error().text();
    EXPECT_EQ(r->students.size(), 150u);
    EXPECT_TRUE(r->nodes >= 1 && r->nodes <= 9);
  }
}

TEST_F(ClassTest, TheLockLetsOneInAtATime) {
  ASSERT_TRUE(save_class(make(1)));
  std::atomic<int> inside = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        auto lock = lock_class(name);
        ASSERT_TRUE(lock);
        EXPECT_EQ(inside.fetch_add(1), 0);
        auto c = load_class(name);
        ASSERT_TRUE(c);
        ++c->node_limit;
        ASSERT_TRUE(save_class(*c));
        inside.fetch_sub(1);
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(load_class(name)->node_limit, 4 + 80) << "a change was lost";
}

TEST_F(ClassTest, ExtendingCountsFromTheLaterOne) {
  Class c = make(1);
  ASSERT_TRUE(save_class(c));
  auto ends = extend_class(name, std::chrono::minutes(30));  // it was over long ago
  ASSERT_TRUE(ends);
  const auto first = *api::parse_time(*ends);
  EXPECT_GT(first, std::chrono::system_clock::now() + std::chrono::minutes(29));
  ends = extend_class(name, std::chrono::minutes(30));
  ASSERT_TRUE(ends);
  EXPECT_EQ(*api::parse_time(*ends) - first, std::chrono::minutes(30));
  c.ends.clear();
  ASSERT_TRUE(save_class(c));
  ends = extend_class(name, std::chrono::minutes(30));
  ASSERT_FALSE(ends);
  EXPECT_EQ(ends.error().code, Code::kConflict);
}

TEST_F(ClassTest, JobsOfAClassThatIsPausedOverOrGoingAreRefused) {
  Class c = make(1);
  c.paused = true;
  ASSERT_TRUE(save_class(c));
  auto r = run_job(name, "student01", {"start"});
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().text().find("lab class resume"), std::string::npos) << r.error().text();
  c.paused = false;
  c.ending = true;
  ASSERT_TRUE(save_class(c));
  r = run_job(name, "student01", {"start"});
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().text().find("is being deleted"), std::string::npos) << r.error().text();
  r = run_job(name, "../student01", {"start"});
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kNotFound);
  c.ending = false;
  ASSERT_TRUE(save_class(c));
  r = run_job(name, "student01", {"start"});
  ASSERT_FALSE(r);
  EXPECT_NE(r.error().text().find("lab class extend"), std::string::npos) << r.error().text();
  c.ends = "";
  ASSERT_TRUE(save_class(c));
  for (const auto& what : {std::vector<std::string>{"dance"}, {"exercise"}, {"delete-node"}}) {
    r = run_job(name, "student01", what);
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().code, Code::kInvalid) << r.error().text();
  }
}

TEST_F(ClassTest, WhatIsOverGoesOnOnlyWithMoreTime) {
  Class c = make(1);
  EXPECT_TRUE(is_over(c));
  ASSERT_TRUE(save_class(c));
  EXPECT_TRUE(rest_class(name)) << "without any lab";
  auto resumed = resume_class(name);
  ASSERT_FALSE(resumed);
  EXPECT_EQ(resumed.error().code, Code::kConflict);
  EXPECT_NE(resumed.error().text().find("lab class extend"), std::string::npos) << resumed.error().text();
  ASSERT_TRUE(extend_class(name, std::chrono::minutes(1)));
  EXPECT_FALSE(is_over(*load_class(name)));
  EXPECT_TRUE(resume_class(name));
  c.ends = "";
  EXPECT_FALSE(is_over(c)) << "until it is deleted";
}

TEST(ClassNames, AreThoseThatProfilesCanHold) {
  for (const char* good : {"a", "monday", "b2-2026", "abcdefghijklmnop"}) EXPECT_TRUE(check_class_name(good)) << good;
  for (const char* bad :
       {"", "Monday", "a/b", "../etc", "2b", "-a", "a-", "a--b", "a b", "á", "abcdefghijklmnopq", "a\n"}) {
    auto r = check_class_name(bad);
    ASSERT_FALSE(r) << bad;
    EXPECT_EQ(r.error().code, Code::kInvalid);
    EXPECT_FALSE(load_class(bad)) << bad;
    EXPECT_FALSE(forget_class(bad)) << bad;
  }
}

TEST(ClassNames, LabsOfAClassAreKnownByTheirNames) {
  for (const char* lab : {"demo-student01", "demo-student100", "demo--04-scaling-abcdef"})
    EXPECT_TRUE(is_lab_of("demo", lab)) << lab;
  for (const char* lab : {"demo", "demo-student", "demo-b-student01", "demo-student01b", "demos-student01", "demo-x"})
    EXPECT_FALSE(is_lab_of("demo", lab)) << lab;
}

TEST(Secrets, AreLongAndAllDifferent) {
  std::set<std::string> seen;
  for (int i = 0; i < 500; ++i) {
    const auto s = new_secret();
    EXPECT_EQ(s.size(), 26u);
    EXPECT_EQ(s.find_first_not_of("abcdefghijklmnopqrstuvwxyz234567"), std::string::npos) << s;
    EXPECT_TRUE(seen.insert(s).second);
  }
}

TEST(Secrets, LetInWhomTheyBelongTo) {
  std::vector<Class> classes;
  for (const char* name : {"one", "two"}) {
    Class c{.name = name, .teacher_secret = new_secret()};
    for (std::size_t i = 1; i <= 3; ++i) c.students.push_back(new_student(name, i, ""));
    classes.push_back(std::move(c));
  }
  auto v = visitor_of(classes, classes[1].students[2].secret);
  ASSERT_TRUE(v);
  EXPECT_EQ(v->class_name, "two");
  EXPECT_EQ(v->student, "student03");
  v = visitor_of(classes, classes[0].teacher_secret);
  ASSERT_TRUE(v);
  EXPECT_EQ(v->class_name, "one");
  EXPECT_EQ(v->student, "");
  std::string nearly = classes[0].students[0].secret;
  nearly.back() = nearly.back() == 'a' ? 'e' : 'a';
  for (const auto& bad : {nearly, std::string(), nearly.substr(0, 25), nearly + "a"})
    EXPECT_FALSE(visitor_of(classes, bad)) << bad;
  classes[0].teacher_secret.clear();  // as in a damaged file
  EXPECT_FALSE(visitor_of(classes, ""));
}

TEST(Names, OneALine) {
  auto r = parse_names(
      "\xef\xbb\xbf"
      "Ada Lovelace\r\n\n  Grace Hopper \n<script>alert(1)</script>\nJosé Ñandú\n=1+1\n日本 太郎");
  ASSERT_TRUE(r) << r.error().text();
  EXPECT_EQ(*r, (std::vector<std::string>{"Ada Lovelace", "Grace Hopper", "<script>alert(1)</script>", "José Ñandú",
                                          "=1+1", "日本 太郎"}));
}

TEST(Names, EachMistakeIsNamedWithItsLine) {
  auto r = parse_names("Ada\nBob\x07\nAda\n\xff\xfe\nx\xe2\x80\xaey\n\xc3\n" + std::string(81, 'n') +
                       "\n\xf0\x9f\x98\x80\n");
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, Code::kInvalid);
  for (const char* part :
       {"line 2 holds a character", "line 3 (\"Ada\") is there already, in line 1", "line 4 is no UTF-8",
        "line 5 holds a character", "line 6 is no UTF-8", "line 7 is longer than 80"})
    EXPECT_NE(r.error().message.find(part), std::string::npos) << part << " is not in " << r.error().message;
  EXPECT_EQ(r.error().message.find("line 1 "), std::string::npos);
  EXPECT_EQ(r.error().message.find("line 8"), std::string::npos) << "an emoji is text";
  EXPECT_FALSE(parse_names(" \n\r\n")) << "no name at all";
  EXPECT_FALSE(parse_names(std::string("a\0b", 3)));
  for (const char* bad : {"\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"})
    EXPECT_FALSE(parse_names(bad)) << bad;
}

}  // namespace
}  // namespace lab::classroom
