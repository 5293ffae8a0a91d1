#include "orchestrator/apiserver/webhooks/condition.h"

#include <gtest/gtest.h>

namespace lab::apiserver::webhooks {
namespace {

const json::Value& object() {
  static const json::Value o = *json::parse(R"({"metadata":{"name":"web","labels":{"app":"x"},"namespace":"a"},
    "spec":{"replicas":3,"ratio":0.5,"paused":false,
            "containers":[{"name":"c1","image":"r.io/a:1"},{"name":"c2","image":"docker.io/b"}]}})");
  return o;
}

Result<bool> run(std::string_view expression) {
  static const json::Value request = *json::parse(R"({"operation":"CREATE","userInfo":{"groups":["dev","ops"]}})");
  auto condition = Condition::compile(expression);
  EXPECT_EQ(condition.trouble(), "") << expression;
  return condition.evaluate({{"object", &object()}, {"oldObject", &json::null_value()}, {"request", &request}});
}

TEST(Condition, HoldsOrDoesNot) {
  for (auto text : {"true",
                    "object.metadata.name != 'skip-me'",
                    "object.spec.replicas * 2 + 1 == 7",
                    "oldObject == null",
                    "object.metadata.name in ['web', \"db\"]",
                    "'app' in object.metadata.labels",
                    "has(object.spec.paused) && !object.spec.paused",
                    "!has(object.spec.absent)",
                    "object.spec.containers.all(c, c.image.contains('/'))",
                    "object.spec.containers.exists(c, c.image.startsWith('r.io/'))",
                    "object.spec.containers.exists_one(c, c.name == 'c2')",
                    "object.spec.containers.filter(c, c.name.endsWith('1')).size() == 1",
                    "object.spec.containers.map(c, c.name) == ['c1', 'c2']",
                    "size(object.spec.containers) == 2",
                    "object.spec.containers[1].name == 'c2'",
                    "object.metadata.labels['app'] == 'x'",
                    "object.metadata.name.matches('^w[a-z]+$')",
                    "request.userInfo.groups.exists(g, g == 'ops')",
                    "object.spec.replicas > 2 ? object.spec.ratio < 1.0 : false",
                    "string(object.spec.replicas) == '3'",
                    "int('4') - 1 == object.spec.replicas",
                    "7 / 2 == 3 && 7 % 2 == 1 && -7 < 0",
                    "'a' + 'b' == 'ab' && [1] + [2] == [1, 2]",
                    "'Ab'.lowerAscii() == 'ab'",
                    "\"a\\\"b\" == 'a\"b'",
                    "true || object.absent",
                    "!(false && object.absent)",
                    "request.operation == 'CREATE'",
                    "{'a': 1}.a == 1",
                    "'x,y'.split(',').size() == 2",
                    "1 == 1.0"}) {
    auto holds = run(text);
    EXPECT_TRUE(holds && *holds) << text << (holds ? "" : ": " + holds.error().message);
  }
  for (auto text : {"object.metadata.name == 'skip-me'", "object.spec.replicas >= 4", "'x' in ['y']", "'1' == 1",
                    "object.spec.containers.all(c, c.image.startsWith('r.io/'))"}) {
    auto holds = run(text);
    EXPECT_TRUE(holds && !*holds) << text;
  }
}

TEST(Condition, SaysWhyItCannotTell) {
  EXPECT_EQ(run("object.absent == 1").error().message, "no such key: absent");
  EXPECT_EQ(run("object.spec.replicas + 'a' == 1").error().message, "no such overload: _+_");
  EXPECT_EQ(run("object.spec.containers[5].name == ''").error().message, "index out of bounds: 5");
  EXPECT_EQ(run("1 / 0 == 1").error().message, "division by zero");
  EXPECT_FALSE(run("object.metadata.name"));
}

TEST(Condition, WhatIsNoExpressionIsNotTaken) {
  auto trouble = [](std::string_view text) { return Condition::compile(text).trouble(); };
  for (auto text :
       {"", "object.", "object..a", "(true", "[1, 2", "a b", "'open", "1 +", "object.metadata.name ==", "&& true",
        "bad expression", "object.x(", "has(object)", "object.list.all(1, true)", "true ? 1", "1.2.3 == 1"})
    EXPECT_TRUE(trouble(text).starts_with("compilation failed: ERROR: <input>:1:")) << text << ": " << trouble(text);
  EXPECT_NE(trouble("self.x == 1").find("undeclared reference to 'self' (in container '')"), std::string::npos);
  EXPECT_NE(trouble("object.name.foo()").find("undeclared reference to 'foo'"), std::string::npos);
  EXPECT_NE(trouble("authorizer.group('')").find("undeclared reference to 'authorizer'"), std::string::npos);
  EXPECT_EQ(trouble("'text'"), "must evaluate to bool");
  EXPECT_EQ(trouble("1 + 1"), "must evaluate to bool");
  EXPECT_NE(trouble(std::string(200, '(')).find("nested too deeply"), std::string::npos);
  EXPECT_NE(trouble(std::string(200, '!') + "true").find("nested too deeply"), std::string::npos);
}

TEST(Condition, WorkIsBounded) {
  std::string text = "true";
  for (int i = 0; i < 12; ++i) text = "[0,1,2,3,4,5,6,7,8,9].all(x" + std::to_string(i) + ", " + text + ")";
  auto refused = run(text);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("cost limit"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace lab::apiserver::webhooks
