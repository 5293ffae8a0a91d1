// The runner of phases: order, skipping, one alone, dry run, and what an error says.
#include <gtest/gtest.h>

#include "bootstrap/phases/phase.h"

namespace lab::bootstrap {
namespace {

struct Context {
  std::vector<std::string> ran;
  bool addon_off = false;
  bool break_b = false;
};

template <char C>
Result<void> step(Context& c) {
  c.ran.push_back(std::string(1, C));
  if (C == 'b' && c.break_b) return fail(Code::kUnavailable, "b is not to be had", "wait for it");
  return {};
}

const std::vector<Phase<Context>>& phases() {
  static const std::vector<Phase<Context>> all{
      {"first", "The first", step<'f'>},
      {"certs", "Certificates", nullptr, {{"a", "A", step<'a'>}, {"b", "B", step<'b'>}}},
      {"addon", "Addons", step<'o'>, {{"dns", "DNS", step<'d'>}}, [](const Context& c) { return c.addon_off; }},
      {"certs2", "A name that begins like another", step<'z'>},
  };
  return all;
}

using Steps = std::vector<std::string>;

Steps ran(RunOptions options, Context c = {}) {
  EXPECT_TRUE(run_phases(phases(), c, options));
  return c.ran;
}

TEST(Phases, RunInTheirOrderParentsFirst) {
  EXPECT_EQ(ran({}), (Steps{"f", "a", "b", "o", "d", "z"}));
}

TEST(Phases, SkippingLeavesOutAllBelow) {
  EXPECT_EQ(ran({.skip = {"certs"}}), (Steps{"f", "o", "d", "z"}));
  EXPECT_EQ(ran({.skip = {"certs/a", "addon/dns"}}), (Steps{"f", "b", "o", "z"}));
  EXPECT_EQ(ran({.skip = {"a"}}), (Steps{"f", "a", "b", "o", "d", "z"})) << "names are whole paths";
  EXPECT_EQ(ran({}, {.addon_off = true}), (Steps{"f", "a", "b", "z"}));
}

TEST(Phases, OneAlone) {
  EXPECT_EQ(ran({.only = "certs"}), (Steps{"a", "b"}));
  EXPECT_EQ(ran({.only = "certs/b"}), (Steps{"b"}));
  EXPECT_EQ(ran({.only = "addon"}), (Steps{"o", "d"}));
  EXPECT_EQ(ran({.only = "addon/dns"}), (Steps{"d"})) << "the parent's own work is another phase";
  EXPECT_EQ(ran({.only = "first"}), (Steps{"f"}));
}

TEST(Phases, ADryRunTellsAndDoesNothing) {
  Steps told;
  RunOptions options{.dry_run = true};
  options.on_start = [&](const std::string& path, const std::string& summary) {
    told.push_back(path + ": " + summary);
  };
  EXPECT_EQ(ran(options), Steps{});
  EXPECT_EQ(told, (Steps{"first: The first", "certs/a: A", "certs/b: B", "addon: Addons", "addon/dns: DNS",
                         "certs2: A name that begins like another"}));
}

TEST(Phases, AnErrorEndsTheRunAndNamesThePhase) {
  Context c{.break_b = true};
  auto r = run_phases(phases(), c, {});
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().message, "phase certs/b: b is not to be had");
  EXPECT_EQ(r.error().hint, "wait for it");
  EXPECT_EQ(r.error().code, Code::kUnavailable);
  EXPECT_EQ(c.ran, (Steps{"f", "a", "b"}));
}

TEST(Phases, ListNamesEveryPath) {
  Steps names;
  list_phases(phases(), names);
  EXPECT_EQ(names, (Steps{"first", "certs", "certs/a", "certs/b", "addon", "addon/dns", "certs2"}));
}

}  // namespace
}  // namespace lab::bootstrap
