// Accessors that never throw, and errors that tell where.
#include "base/json_arena.h"

#include <gtest/gtest.h>

namespace lab::json {
namespace {

Value parsed(std::string_view text) {
  auto value = parse(text);
  EXPECT_TRUE(value) << text << ": " << (value ? "" : value.error().text());
  return value ? *value : Value();
}

TEST(Arena, ReadsOneTextAfterTheOtherAsParseDoes) {
  Arena arena;
  const std::string large =
      "[\"" + std::string(200000, 'x') + "\"," + std::string(50, '[') + std::string(50, ']') + "]";
  for (int round = 0; round < 3; ++round)
    for (const std::string& text :
         {std::string(R"({"a":[1,2.5,"\u00e4",null,true],"b":{"c":{}}})"), large, std::string("7")})
      EXPECT_EQ(arena.parse(text), parsed(text));
  for (const std::string& bad : {std::string("{\"a\":"), std::string("{}{}"), std::string(1000, '[')}) {
    EXPECT_TRUE(arena.parse(bad).is_null()) << bad;
    EXPECT_EQ(arena.parse("[1]"), parsed("[1]")) << "after " << bad;
  }
}

TEST(Json, AbsentAndWrongTypesGiveTheFallback) {
  const Value pod =
      parsed(R"({"metadata":{"name":"web","labels":{"a":"b"},"generation":3,"paused":true},"items":[1,2],"gap":null})");
  EXPECT_EQ(str(pod, "metadata", "name"), "web");
  EXPECT_EQ(num(pod, "metadata", "generation"), 3);
  EXPECT_TRUE(flag(pod, "metadata", "paused"));
  EXPECT_EQ(list(pod, "items").size(), 2u);
  EXPECT_EQ(map(pod, "metadata", "labels").size(), 1u);
  // Through what is absent, null, or of another type.
  EXPECT_EQ(str(pod, "spec", "template", "spec"), "");
  EXPECT_EQ(str(pod, "metadata", "name", "deeper"), "");
  EXPECT_EQ(str(pod, "metadata", "generation"), "");
  EXPECT_EQ(num(pod, "metadata", "name"), 0);
  EXPECT_FALSE(flag(pod, "metadata", "generation"));
  EXPECT_TRUE(list(pod, "metadata").empty());
  EXPECT_TRUE(map(pod, "items").empty());
  EXPECT_TRUE(has(pod, "metadata", "name"));
  EXPECT_FALSE(has(pod, "gap"));
  EXPECT_FALSE(has(pod, "nothing"));
  EXPECT_TRUE(at(pod, "items", "x").is_null());
  EXPECT_EQ(as_str(Value(nullptr), "fallback"), "fallback");
  EXPECT_EQ(as_int(Value("7"), -1), -1);
}

TEST(Json, NumbersOutsideTheRangeCountAsAbsent) {
  EXPECT_EQ(as_int(parsed("9223372036854775807"), -1), INT64_MAX);
  EXPECT_EQ(as_int(parsed("-9223372036854775808"), -1), INT64_MIN);
  EXPECT_EQ(as_int(parsed("18446744073709551615"), -1), -1);
  EXPECT_EQ(as_int(parsed("1e300"), -1), -1);
  EXPECT_EQ(as_int(parsed("-1e300"), -1), -1);
  EXPECT_EQ(as_int(parsed("2.9"), -1), 2);
}

TEST(Json, ErrorsTellLineAndColumn) {
  struct Case {
    const char* text;
    const char* where;
  };
  for (const auto& c :
       {Case{"{\n  \"a\": 1,\n  \"b\": x\n}", "line 3, column 8"}, Case{"{\"a\" 1}", "line 1, column 6"},
        Case{"{}\n  tail", "line 2, column 3"}, Case{"", "line 1, column 1"}, Case{"[1, 2", "line 1, column 6"}}) {
    auto bad = parse(c.text);
    ASSERT_FALSE(bad) << c.text;
    EXPECT_EQ(bad.error().code, Code::kBadRequest);
    EXPECT_NE(bad.error().message.find(c.where), std::string::npos) << c.text << " -> " << bad.error().message;
  }
  EXPECT_TRUE(parse(" {} \n"));
  EXPECT_FALSE(parse("{\"a\": \"\xff\"}")) << "no UTF-8";
}

TEST(Json, DepthIsLimited) {
  auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(parse(nested(kMaxDepth)));
  auto deep = parse(nested(kMaxDepth + 1));
  ASSERT_FALSE(deep);
  EXPECT_EQ(deep.error().code, Code::kBadRequest);
  EXPECT_FALSE(parse(nested(1000000))) << "and costs no stack";
}

TEST(Json, WritingMakesWhatIsMissing) {
  Value v;
  set(v, "Running", "status", "phase");
  set(v, 2, "spec", "replicas");
  EXPECT_EQ(dump(v), R"({"status":{"phase":"Running"},"spec":{"replicas":2}})");
  set(v, "x", "status", "phase", "deep");
  EXPECT_EQ(str(v, "status", "phase", "deep"), "x") << "what is no object is replaced";
  erase(v, "status", "phase", "deep");
  EXPECT_EQ(dump(at(v, "status")), R"({"phase":{}})");
  erase(v, "nothing", "here");
  erase(v, "spec");
  EXPECT_FALSE(has(v, "spec"));
}

TEST(Json, PrettyTextReadsBack) {
  const Value v = parsed(R"({"a":[1,{"b":"c\n\"d\""}],"empty":{},"none":[],"n":null})");
  const std::string text = dump_pretty(v, 2);
  EXPECT_EQ(text,
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"c\\n\\\"d\\\"\"\n    }\n  ],\n  \"empty\": {},\n  \"none\": "
            "[],\n  \"n\": null\n}");
  EXPECT_EQ(parsed(text), v);
}

}  // namespace
}  // namespace lab::json
