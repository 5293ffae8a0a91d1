#include "base/yaml/locate.h"
#include "base/yaml/yaml.h"

#include <gtest/gtest.h>

namespace lab::yaml {
namespace {

std::string as_json(std::string_view text) {
  auto value = parse(text);
  return value ? json::dump(*value) : "error: " + value.error().message;
}

TEST(Yaml, ScalarsMeanWhatTheyMeanToKubernetes) {
  EXPECT_EQ(as_json("a: 1\nb: -2\nc: 0644\nd: 0x1f\ne: 0b11\nf: 1_000\n"),
            R"({"a":1,"b":-2,"c":420,"d":31,"e":3,"f":1000})");
  EXPECT_EQ(as_json("[yes, no, on, off, true, False, ~, null, '']"),
            R"([true,false,true,false,true,false,null,null,""])");
  EXPECT_EQ(as_json("[\"1\", '2', !!str 3, 2024-01-02, 1.5, 1.0, 1e3, .5]"),
            R"(["1","2","3","2024-01-02",1.5E0,1,1000,5E-1])");
  EXPECT_EQ(as_json("[1.2.3, 10m, 128Mi, 08, 0x, '-', 1e, 18446744073709551615]"),
            R"(["1.2.3","10m","128Mi",8,"0x","-","1e",18446744073709551615])");
}

TEST(Yaml, KeysBecomeStrings) {
  EXPECT_EQ(as_json("1: a\ntrue: b\n'x': c\n"), R"({"1":"a","true":"b","x":"c"})");
}

TEST(Yaml, BlocksAnchorsAndMergeKeys) {
  EXPECT_EQ(as_json("a: |\n  x\n  y\nb: >-\n  p\n  q\n"), R"({"a":"x\ny\n","b":"p q"})");
  EXPECT_EQ(as_json("base: &b {x: 1, z: 2}\nuse:\n  <<: *b\n  z: 3\nagain: *b\n"),
            R"({"base":{"x":1,"z":2},"use":{"z":3,"x":1},"again":{"x":1,"z":2}})");
}

TEST(Yaml, ErrorsNameLineAndColumn) {
  EXPECT_EQ(as_json("a: 1\nb: [1, 2\n"), "error: invalid YAML at line 3, column 1: end of sequence flow not found");
  EXPECT_EQ(as_json("a: 1\na: 2\n"), R"(error: invalid YAML at line 2, column 1: key "a" already set in map)");
  EXPECT_EQ(as_json("? [x]\n: y\n"), "error: invalid YAML at line 1, column 3: a mapping key must be a scalar");
}

TEST(Yaml, DuplicatesCanBeCollected) {
  std::vector<std::string> duplicates;
  auto value = parse("a: 1\na: 2\n", &duplicates);
  ASSERT_TRUE(value);
  EXPECT_EQ(json::dump(*value), R"({"a":2})");
  EXPECT_EQ(duplicates, std::vector<std::string>{R"(line 2: key "a" already set in map)"});
}

TEST(Yaml, AliasBombsAreRefused) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + below;
    for (int k = 0; k < 9; ++k) bomb += "," + below;
    bomb += "]\n";
  }
  EXPECT_NE(as_json(bomb).find("aliases repeat too many values"), std::string::npos);
  EXPECT_NE(as_json(std::string(1000, '[')).find("error: invalid YAML"), std::string::npos);
}

TEST(Yaml, DocumentsThatAreEmptyAreSkipped) {
  auto documents = parse_all("---\na: 1\n---\n# nothing\n---\nb: 2\n...\n");
  ASSERT_TRUE(documents);
  ASSERT_EQ(documents->size(), 2u);
  EXPECT_EQ(json::dump((*documents)[1]), R"({"b":2})");
  EXPECT_EQ(as_json(""), "null");
}

TEST(Yaml, DumpReadsLikeKubectls) {
  auto value =
      json::parse(R"({"kind":"Pod","metadata":{"labels":{}},"spec":{"containers":[{"name":"c","args":["-a","yes"]}],
                               "m":[]},"s":"1"})");
  EXPECT_EQ(
      dump(*value),
      "kind: Pod\nmetadata:\n  labels: {}\nspec:\n  containers:\n  - name: c\n    args:\n    - -a\n    - \"yes\"\n"
      "  m: []\ns: \"1\"\n");
}

TEST(Yaml, DumpThenParseGivesTheSame) {
  for (
      std::string_view text :
      {R"({"a":"x: y","b":"#c","c":" lead","d":"trail ","e":"tab\there","f":"multi\nline\n","g":"two\n\n","h":"a\nb"})",
       R"([["nested",[1,2]],{"k":[[]]},[],{},null,true,-5,"null","~","0644","1e3","2024-01-02","- x","a:","é✓"])",
       R"({"quote":"say \"hi\"","back":"a\\b","cr":"a\r\nb","sp":"a \nb","nl":"\n","lead nl":"\nx","":"empty key"})",
       R"("just text")", R"(["-","?",":","-x","@a","`","%","=","<<","...","---"])",
       R"({"pem":"-----BEGIN X-----\nAAA=\n-----END X-----\n","in":[{"s":"l1\nl2\n","t":1}]})"}) {
    auto value = json::parse(text);
    ASSERT_TRUE(value) << text;
    auto again = parse(dump(*value));
    ASSERT_TRUE(again) << dump(*value) << again.error().message;
    EXPECT_EQ(json::dump(*again), json::dump(*value)) << dump(*value);
  }
}

TEST(Yaml, TellsWhereValuesStand) {
  auto documents = parse_located("a:\n  b/c: 1\n  list:\n  - x\n  - k: {z: 2}\n---\n- 1\n");
  ASSERT_TRUE(documents);
  ASSERT_EQ(documents->size(), 2u);
  auto place = [&](std::size_t document, const char* pointer) {
    const auto& places = (*documents)[document].places;
    auto it = places.find(pointer);
    return it == places.end() ? std::string("nowhere")
                              : std::to_string(it->second.line) + ":" + std::to_string(it->second.column);
  };
  EXPECT_EQ(place(0, "/a"), "1:1");
  EXPECT_EQ(place(0, "/a/b~1c"), "2:3");
  EXPECT_EQ(place(0, "/a/list/0"), "4:5");
  EXPECT_EQ(place(0, "/a/list/1/k"), "5:5");
  EXPECT_EQ(place(0, "/a/list/1/k/z"), "5:9");
  EXPECT_EQ(place(0, "/b"), "nowhere");
  EXPECT_EQ(place(1, "/0"), "7:3");
  EXPECT_EQ(json::dump((*documents)[0].value), R"({"a":{"b/c":1,"list":["x",{"k":{"z":2}}]}})");
}

}  // namespace
}  // namespace lab::yaml
