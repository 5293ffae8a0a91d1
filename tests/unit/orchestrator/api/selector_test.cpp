#include "orchestrator/api/selector.h"

#include <gtest/gtest.h>

namespace lab::api {
namespace {

json::Value js(std::string_view text) {
  return *json::parse(text);
}

bool match(std::string_view selector, std::string_view labels) {
  auto s = LabelSelector::parse(selector);
  EXPECT_TRUE(s) << selector;
  return s && s->matches(js(labels).as_object());
}

TEST(LabelSelector, EqualityAndSets) {
  EXPECT_TRUE(match("", "{}"));
  EXPECT_TRUE(match("a=b", R"({"a":"b"})"));
  EXPECT_TRUE(match("a==b", R"({"a":"b"})"));
  EXPECT_FALSE(match("a=b", R"({"a":"c"})"));
  EXPECT_FALSE(match("a=b", "{}"));
  EXPECT_TRUE(match("a!=b", "{}"));
  EXPECT_FALSE(match("a!=b", R"({"a":"b"})"));
  EXPECT_TRUE(match("a in (b, c),d notin (e),f,!g", R"({"a":"c","f":""})"));
  EXPECT_FALSE(match("a in (b,c)", R"({"a":"d"})"));
  EXPECT_TRUE(match("a notin (b)", "{}"));
  EXPECT_FALSE(match("!a", R"({"a":"x"})"));
  EXPECT_TRUE(match("a=", R"({"a":""})"));
  EXPECT_TRUE(match("a=,b=c", R"({"a":"","b":"c"})"));
  EXPECT_TRUE(match("n>3,m<5", R"({"n":"4","m":"-1"})"));
  EXPECT_FALSE(match("n>3", R"({"n":"3"})"));
  EXPECT_FALSE(match("n>3", R"({"n":"x"})"));
  EXPECT_TRUE(match("app.kubernetes.io/name = web", R"({"app.kubernetes.io/name":"web"})"));
}

TEST(LabelSelector, RefusesBadText) {
  for (const char* bad : {"a in b", "a in (b", "=b", "a=b,", "a~b", "a b", "-a=b", "a=b c", "a>x", "a=b=c", "!a=b",
                          "UPPER.example/x/y=1", "a in ()d"}) {
    auto s = LabelSelector::parse(bad);
    EXPECT_FALSE(s) << bad;
    if (!s) {
      EXPECT_EQ(s.error().code, Code::kBadRequest) << bad;
      EXPECT_NE(s.error().message.find("unable to parse requirement"), std::string::npos) << s.error().message;
    }
  }
}

TEST(LabelSelector, ObjectsAndText) {
  auto all = LabelSelector::from_object(js("{}"));
  ASSERT_TRUE(all);
  EXPECT_TRUE(all->empty());
  EXPECT_TRUE(all->matches({}));
  auto none = LabelSelector::from_object(nullptr);
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->empty());
  EXPECT_FALSE(none->matches({}));
  auto s = LabelSelector::from_object(
      js(R"({"matchLabels":{"b":"1","a":"2"},"matchExpressions":[{"key":"c","operator":"In","values":["y","x"]},
             {"key":"d","operator":"DoesNotExist"}]})"));
  ASSERT_TRUE(s);
  EXPECT_EQ(s->text(), "a=2,b=1,c in (x,y),!d");
  EXPECT_EQ(LabelSelector::parse(s->text())->text(), s->text());
  EXPECT_FALSE(LabelSelector::from_object(js(R"({"matchExpressions":[{"key":"c","operator":"Is"}]})")));
  EXPECT_FALSE(LabelSelector::from_object(js(R"({"matchExpressions":[{"key":"c","operator":"In"}]})")));
  EXPECT_FALSE(LabelSelector::from_map({}).matches(js(R"({"a":"b"})").as_object()));
  EXPECT_TRUE(LabelSelector::from_map(js(R"({"a":"b"})").as_object()).matches(js(R"({"a":"b","c":"d"})").as_object()));
}

TEST(FieldSelector, PathsAndEscapes) {
  auto pod = js(R"({"spec":{"nodeName":"n1"},"status":{"phase":"Running"}})");
  EXPECT_TRUE(FieldSelector::parse("spec.nodeName=n1,status.phase!=Failed")->matches(pod));
  EXPECT_FALSE(FieldSelector::parse("spec.nodeName==n2")->matches(pod));
  EXPECT_TRUE(FieldSelector::parse("spec.nodeName!=")->matches(pod));
  EXPECT_TRUE(FieldSelector::parse("status.podIP=")->matches(pod));
  auto odd = js(R"({"spec":{"x":"a,b=c\\"}})");
  EXPECT_TRUE(FieldSelector::parse("spec.x=a\\,b\\=c\\\\")->matches(odd));
  EXPECT_TRUE(FieldSelector::parse("")->empty());
  for (const char* bad : {"spec", "a!b", "a=b=c", "a=\\x"}) {
    auto s = FieldSelector::parse(bad);
    ASSERT_FALSE(s) << bad;
    EXPECT_EQ(s.error().code, Code::kBadRequest);
  }
}

TEST(FieldSelector, FieldsThatAreNoText) {
  EXPECT_EQ(field_value(js(R"({"spec":{"unschedulable":true}})"), "spec.unschedulable"), "true");
  EXPECT_EQ(field_value(js("{}"), "spec.unschedulable"), "false");
  EXPECT_EQ(field_value(js("{}"), "status.replicas"), "0");
  EXPECT_EQ(field_value(js(R"({"status":{"succeeded":3}})"), "status.successful"), "3");
  EXPECT_EQ(field_value(js(R"({"source":{"component":"kubelet"}})"), "source"), "kubelet");
  EXPECT_EQ(field_value(js(R"({"reportingComponent":"kubelet"})"), "source"), "kubelet");
  EXPECT_EQ(field_value(js(R"({"involvedObject":{"name":"p"}})"), "regarding.name"), "p");
  EXPECT_EQ(field_value(js(R"({"regarding":{"name":"p"}})"), "involvedObject.name"), "p");
}

}  // namespace
}  // namespace lab::api
