// Rows of students, and what is written for spreadsheets: read again by another program's reader of CSV.
#include "labs/classroom/model/progress.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/subprocess.h"
#include "labs/exercises/session.h"
#include "orchestrator/api/time.h"

namespace lab::classroom {
namespace {

ProgressRow row(const std::string& student, const std::string& title) {
  return {.student = student,
          .title = title,
          .exercise = "04-scaling",
          .step = 1,
          .steps = 2,
          .passed = 2,
          .checks = 3,
          .step_names = {"create", "scale"},
          .matrix = {{true}, {true, false}},
          .begun = "2026-01-02T03:04:05Z",
          .advanced = "2026-01-02T03:14:05Z",
          .stuck = 60};
}

TEST(Csv, FormulasAndSeparatorsDoNoHarm) {
  EXPECT_EQ(csv_cell("Ada"), "Ada");
  EXPECT_EQ(csv_cell(""), "");
  EXPECT_EQ(csv_cell("a,b"), "\"a,b\"");
  EXPECT_EQ(csv_cell("say \"hi\""), "\"say \"\"hi\"\"\"");
  EXPECT_EQ(csv_cell("two\nlines"), "\"two\nlines\"");
  for (const char* formula : {"=1+1", "+1", "-1", "@SUM(A1)", "\tx"})
    EXPECT_EQ(csv_cell(formula), "'" + std::string(formula));
  EXPECT_EQ(csv_cell("=HYPERLINK(\"http://x\",\"y\")"), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
  EXPECT_EQ(csv_cell("\r=1"), "\"'\r=1\"");
}

TEST(Csv, AnotherReaderFindsTheSame) {
  auto other = row("student03", "plain");
  other.exercise = "01-cluster";
  other.step_names = {"init"};
  other.matrix = {{false}};
  ProgressRow none{.student = "student04", .title = "=cmd|' /C calc'!A0"};
  const std::string csv = progress_csv({row("student01", "Ñandú, \"Q\"\nsecond"), row("student02", ""), other, none});
  EXPECT_TRUE(csv.ends_with("\r\n"));
  auto read = run(
      {.argv =
           {"python3", "-c",
            "import csv,io,json,sys; print(json.dumps(list(csv.reader(io.StringIO(sys.stdin.buffer.read().decode(), "
            "newline=''), strict=True))))"},
       .stdin_text = csv,
       .timeout = std::chrono::minutes(1)});
  ASSERT_TRUE(read && read->ok()) << (read ? read->err : read.error().text());
  auto lines = json::parse(read->out);
  ASSERT_TRUE(lines);
  const auto& all = json::as_array(*lines);
  ASSERT_EQ(all.size(), 5u);
  for (const auto& line : all) EXPECT_EQ(json::as_array(line).size(), 14u);
  auto cell = [&](std::size_t r, std::size_t c) { return std::string(json::as_str(json::as_array(all[r])[c])); };
  EXPECT_EQ(cell(0, 0), "student");
  EXPECT_EQ(cell(0, 10), "04-scaling create 1");
  EXPECT_EQ(cell(0, 12), "04-scaling scale 2");
  EXPECT_EQ(cell(0, 13), "01-cluster init 1");
  EXPECT_EQ(cell(1, 1), "Ñandú, \"Q\"\nsecond");
  EXPECT_EQ(cell(1, 7), "60");
  EXPECT_EQ(cell(1, 10) + cell(1, 11) + cell(1, 12) + cell(1, 13), "110");
  EXPECT_EQ(cell(3, 10) + cell(3, 13), "0");
  EXPECT_EQ(cell(4, 1), "'=cmd|' /C calc'!A0");
  EXPECT_EQ(cell(4, 10), "");
}

TEST(Json, HasTheFieldsOfARow) {
  const Class one{.name = "demo"};
  const auto v = progress_export(one, {row("student01", "Ada")}, *api::parse_time("2026-01-02T04:00:00Z"));
  EXPECT_EQ(json::str(v, "class"), "demo");
  const auto& s = json::list(v, "students").at(0);
  EXPECT_EQ(json::str(s, "student"), "student01");
  EXPECT_EQ(json::num(s, "passed"), 2);
  EXPECT_EQ(json::num(s, "checks"), 3);
  EXPECT_EQ(json::num(s, "stuck"), 60);
  EXPECT_EQ(json::dump(json::at(s, "matrix")), "[[true],[true,false]]");
}

// Sessions are read from where they lie, under a profile that nobody else has.
struct SessionFiles : testing::Test {
  const std::string name = "ut-" + std::to_string(::getpid());
  const std::string file = "/var/lib/lab/exercises/" + name + "-student01.json";
  Class one{.name = name};
  void SetUp() override {
    one.students = {new_student(name, 1, "Ada"), new_student(name, 2, "")};
    ASSERT_TRUE(fs::make_dirs("/var/lib/lab/exercises"));
  }
  void TearDown() override { EXPECT_TRUE(fs::remove_file(file)); }
  void write(const std::string& advanced, const std::string& passed) {
    const std::string directory = fs::join(LAB_SOURCE_DIR, "labs/exercises/course/04-scaling");
    ASSERT_TRUE(fs::write_file(
        file, R"({"directory": ")" + directory +
                  R"(", "language": "en", "ready": true, "begun": "2026-01-02T03:00:00Z", "advanced": ")" + advanced +
                  R"(", "passed": )" + passed + "}"));
  }
};

TEST_F(SessionFiles, BecomeRows) {
  const auto now = *api::parse_time("2026-01-02T03:10:00Z");
  auto rows = progress_of(one, now);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].exercise, "");
  EXPECT_EQ(rows[0].message, "");
  EXPECT_FALSE(rows[0].stuck);

  write("", "{}");
  rows = progress_of(one, now);
  EXPECT_EQ(rows[0].exercise, "04-scaling");
  EXPECT_EQ(rows[0].step, 0u);
  EXPECT_EQ(rows[0].steps, 4u);
  EXPECT_EQ(rows[0].passed, 0u);
  ASSERT_TRUE(rows[0].stuck);
  EXPECT_EQ(*rows[0].stuck, 600) << "since the start";

  std::string marks;
  for (std::size_t i = 0; i + 1 < rows[0].steps; ++i) {
    std::string list;
    for (std::size_t k = 0; k < rows[0].matrix[i].size(); ++k) list += std::string(list.empty() ? "" : ", ") + "true";
    marks += (marks.empty() ? "" : ", ") + ("\"" + rows[0].step_names[i] + "\": [" + list + "]");
  }
  write("2026-01-02T03:09:00Z", "{" + marks + "}");
  rows = progress_of(one, now);
  EXPECT_EQ(rows[0].step, 3u);
  EXPECT_LT(rows[0].passed, rows[0].checks);
  EXPECT_EQ(*rows[0].stuck, 60) << "since the last green check";

  ASSERT_TRUE(fs::write_file(file, "{\"directory\": \"/no/such\", "));
  rows = progress_of(one, now);
  EXPECT_NE(rows[0].message, "") << "a damaged file is told, and the others are shown";
  EXPECT_EQ(rows[1].student, "student02");
}

}  // namespace
}  // namespace lab::classroom
