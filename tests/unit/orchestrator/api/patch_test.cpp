#include "orchestrator/api/patch.h"

#include <gtest/gtest.h>

namespace lab::api {
namespace {

json::Value js(std::string_view text) {
  auto v = json::parse(text);
  EXPECT_TRUE(v) << text;
  return *v;
}

TEST(JsonPatch, Operations) {
  struct Row {
    const char *doc, *patch, *result;
  };
  for (auto [doc, patch, result] : {
           Row{R"({"a":1})", R"([{"op":"add","path":"/b","value":[2]}])", R"({"a":1,"b":[2]})"},
           Row{R"({"a":[1,3]})", R"([{"op":"add","path":"/a/1","value":2}])", R"({"a":[1,2,3]})"},
           Row{R"({"a":[1]})", R"([{"op":"add","path":"/a/-","value":2}])", R"({"a":[1,2]})"},
           Row{R"({"a":1,"b":2})", R"([{"op":"remove","path":"/a"}])", R"({"b":2})"},
           Row{R"({"a":[1,2,3]})", R"([{"op":"remove","path":"/a/0"}])", R"({"a":[2,3]})"},
           Row{R"({"a":1})", R"([{"op":"replace","path":"/a","value":{"x":null}}])", R"({"a":{"x":null}})"},
           Row{R"({"a":{"b":1},"c":{}})", R"([{"op":"move","from":"/a/b","path":"/c/d"}])", R"({"a":{},"c":{"d":1}})"},
           Row{R"({"a":[1]})", R"([{"op":"copy","from":"/a/0","path":"/a/-"}])", R"({"a":[1,1]})"},
           Row{R"({"a/b":1,"m~n":2})", R"([{"op":"replace","path":"/a~1b","value":3},{"op":"remove","path":"/m~0n"}])",
               R"({"a/b":3})"},
           Row{R"({"a":1})", R"([{"op":"test","path":"/a","value":1},{"op":"test","path":"/z","value":null}])",
               R"({"a":1})"},
           Row{R"({"a":1})", R"([{"op":"add","path":"","value":{"b":2}}])", R"({"b":2})"},
       }) {
    auto r = json_patch(js(doc), js(patch));
    ASSERT_TRUE(r) << patch << ": " << r.error().message;
    EXPECT_EQ(*r, js(result)) << patch << " gave " << json::dump(*r);
  }
}

TEST(JsonPatch, Refusals) {
  struct Row {
    const char* patch;
    Code code;
  };
  for (auto [patch, code] :
       {Row{R"({"op":"add"})", Code::kBadRequest}, Row{R"([{"op":"jump","path":"/a"}])", Code::kBadRequest},
        Row{R"([{"op":"add","value":1}])", Code::kBadRequest}, Row{R"([{"op":"add","path":"/b"}])", Code::kBadRequest},
        Row{R"([{"op":"add","path":"b","value":1}])", Code::kBadRequest},
        Row{R"([{"op":"remove","path":"/b"}])", Code::kInvalid},
        Row{R"([{"op":"replace","path":"/b","value":1}])", Code::kInvalid},
        Row{R"([{"op":"add","path":"/l/7","value":1}])", Code::kInvalid},
        Row{R"([{"op":"add","path":"/x/y","value":1}])", Code::kInvalid},
        Row{R"([{"op":"test","path":"/a","value":2}])", Code::kInvalid},
        Row{R"([{"op":"move","from":"/no","path":"/a"}])", Code::kInvalid}}) {
    auto r = json_patch(js(R"({"a":1,"l":[]})"), js(patch));
    ASSERT_FALSE(r) << patch;
    EXPECT_EQ(r.error().code, code) << patch << ": " << r.error().message;
  }
  auto r = json_patch(js(R"({"spec":{"replicas":1}})"), js(R"([{"op":"test","path":"/spec/replicas","value":2}])"));
  EXPECT_NE(r.error().message.find("testing value /spec/replicas failed"), std::string::npos);
}

TEST(MergePatch, Rfc7386Examples) {
  struct Row {
    const char *doc, *patch, *result;
  };
  for (auto [doc, patch, result] :
       {Row{R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
        Row{R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"}, Row{R"({"a":"b"})", R"({"a":null})", R"({})"},
        Row{R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
        Row{R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
        Row{R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"}, Row{R"(["a","b"])", R"(["c"])", R"(["c"])"},
        Row{R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
        Row{R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
        Row{R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"}})
    EXPECT_EQ(merge_patch(js(doc), js(patch)), js(result)) << patch;
}

}  // namespace
}  // namespace lab::api
