#include <thread>

#include "fixture.h"

namespace lab::apiserver {
namespace {

std::string revision_of(const json::Value& object) {
  return std::string(json::str(object, "metadata", "resourceVersion"));
}

std::vector<std::string> names_of(const json::Value& list) {
  std::vector<std::string> out;
  for (const auto& item : json::list(list, "items")) out.emplace_back(json::str(item, "metadata", "name"));
  return out;
}
using Names = std::vector<std::string>;

TEST_F(ServerTest, ListsSelectByLabelsAndFields) {
  for (auto name : {"a", "b", "c"}) make(kConfigMaps, config_map(name, name));
  EXPECT_EQ(names_of(get(kConfigMaps).body), (Names{"a", "b", "c"}));
  EXPECT_EQ(names_of(get(kConfigMaps + "?labelSelector=value%21%3Db").body), (Names{"a", "c"}));
  EXPECT_EQ(names_of(get(kConfigMaps + "?fieldSelector=metadata.name%3Db").body), (Names{"b"}));
  make(kPods, pod("p", "n1"));
  make(kPods, pod("q", "n2"));
  EXPECT_EQ(names_of(get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn2").body), (Names{"q"}));
  EXPECT_EQ(get("/api/v1/pods?fieldSelector=spec.color%3Dn2").status, 400);
}

TEST_F(ServerTest, PagesShowOneRevisionWhateverHappensMeanwhile) {
  for (auto name : {"a", "b", "c", "d", "e"}) make(kConfigMaps, config_map(name));
  auto first = get(kConfigMaps + "?limit=2");
  EXPECT_EQ(names_of(first.body), (Names{"a", "b"}));
  EXPECT_EQ(json::num(first.body, "metadata", "remainingItemCount"), 3);
  remove(kConfigMaps + "/c");
  make(kConfigMaps, config_map("bb"));
  auto token = std::string(json::str(first.body, "metadata", "continue"));
  auto second = get(kConfigMaps + "?limit=2&continue=" + token);
  EXPECT_EQ(names_of(second.body), (Names{"c", "d"})) << second.text;
  EXPECT_EQ(revision_of(second.body), revision_of(first.body));
  auto third = get(kConfigMaps + "?limit=2&continue=" + std::string(json::str(second.body, "metadata", "continue")));
  EXPECT_EQ(names_of(third.body), (Names{"e"}));
  EXPECT_FALSE(json::has(third.body, "metadata", "continue"));
  EXPECT_EQ(get(kConfigMaps + "?limit=2&continue=nonsense").status, 400);
}

TEST_F(ServerTest, ExactRevisionsComeFromHistory) {
  auto a = make(kConfigMaps, config_map("a"));
  make(kConfigMaps, config_map("b"));
  auto then = get(kConfigMaps + "?resourceVersionMatch=Exact&resourceVersion=" + revision_of(a));
  EXPECT_EQ(names_of(then.body), (Names{"a"})) << then.text;
  EXPECT_EQ(names_of(get(kConfigMaps + "?resourceVersion=0").body), (Names{"a", "b"}));
  EXPECT_EQ(get(kConfigMaps + "?resourceVersionMatch=Exact").status, 400);
  auto future = get(kConfigMaps + "?resourceVersion=999999&resourceVersionMatch=NotOlderThan");
  EXPECT_EQ(future.status, 504);
  EXPECT_EQ(json::str(future.body, "reason"), "Timeout");
}

TEST_F(ServerTest, WatchTellsChangesAfterARevision) {
  auto a = make(kConfigMaps, config_map("a"));
  merge(kConfigMaps + "/a", json::Object{{"data", json::Object{{"value", "2"}}}});
  remove(kConfigMaps + "/a");
  auto events = watch(kConfigMaps + "?watch=true&resourceVersion=" + revision_of(a), 2);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(json::str(events[0], "type"), "MODIFIED");
  EXPECT_EQ(json::str(events[1], "type"), "DELETED");
  EXPECT_EQ(json::str(events[1], "object", "data", "value"), "2");
  EXPECT_GT(std::stoll(revision_of(events[1].at("object"))), std::stoll(revision_of(events[0].at("object"))));
}

TEST_F(ServerTest, WatchBeginsWithTheStateAndGoesOnLive) {
  make(kConfigMaps, config_map("a"));
  std::thread writer([this] {
    for (int i = 0; i < 5; ++i) make(kConfigMaps, config_map("later-" + std::to_string(i)));
  });
  auto events = watch(kConfigMaps + "?watch=true", 6);
  writer.join();
  ASSERT_EQ(events.size(), 6u);
  for (const auto& event : events) EXPECT_EQ(json::str(event, "type"), "ADDED");
  EXPECT_EQ(json::str(events[5], "object", "metadata", "name"), "later-4");
}

TEST_F(ServerTest, LeavingASelectionIsADeletion) {
  auto a = make(kConfigMaps, config_map("a", "1"));
  merge(kConfigMaps + "/a", *json::parse(R"({"metadata":{"labels":{"value":"2"}}})"));
  merge(kConfigMaps + "/a", *json::parse(R"({"metadata":{"labels":{"value":"1"}}})"));
  auto events = watch(kConfigMaps + "?watch=true&labelSelector=value%3D1&resourceVersion=" + revision_of(a), 2);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(json::str(events[0], "type"), "DELETED");
  EXPECT_EQ(json::str(events[0], "object", "metadata", "labels", "value"), "1");
  EXPECT_GT(std::stoll(revision_of(events[0].at("object"))), std::stoll(revision_of(a)));
  EXPECT_EQ(json::str(events[1], "type"), "ADDED");
}

TEST_F(ServerTest, WatchListEndsTheStateWithABookmark) {
  make(kConfigMaps, config_map("a"));
  auto events = watch(
      kConfigMaps + "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", 2);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(json::str(events[0], "type"), "ADDED");
  EXPECT_EQ(json::str(events[1], "type"), "BOOKMARK");
  EXPECT_EQ(json::str(events[1], "object", "metadata", "annotations", "k8s.io/initial-events-end"), "true");
  // The server writes objects of its own meanwhile.
  EXPECT_GE(std::stoll(revision_of(events[1].at("object"))), std::stoll(revision_of(events[0].at("object"))));
}

TEST_F(ServerTest, TooOldARevisionIsToldAsAnExpiredEvent) {
  make(kConfigMaps, config_map("a"));
  make(kConfigMaps, config_map("b"));
  start_server();  // the history begins anew
  auto events = watch(kConfigMaps + "?watch=true&resourceVersion=1", 5);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(json::str(events[0], "type"), "ERROR");
  EXPECT_EQ(json::num(events[0], "object", "code"), 410);
  EXPECT_EQ(json::str(events[0], "object", "reason"), "Expired");
}

TEST_F(ServerTest, WatchEndsAfterItsTime) {
  auto events = watch(kConfigMaps + "?watch=true&timeoutSeconds=1", 100);
  EXPECT_EQ(events.size(), 0u);
}

TEST_F(ServerTest, TablesOfListsAndWatches) {
  make(kConfigMaps, config_map("a"));
  http::Headers table{{"Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"}};
  auto list = get(kConfigMaps, table).body;
  EXPECT_EQ(json::str(list, "kind"), "Table");
  ASSERT_EQ(json::list(list, "rows").size(), 1u);
  const auto& row = json::list(list, "rows")[0];
  EXPECT_EQ(json::as_str(json::list(row, "cells")[0]), "a");
  EXPECT_EQ(json::str(row, "object", "kind"), "PartialObjectMetadata");
  EXPECT_FALSE(json::has(row, "object", "data"));
  EXPECT_EQ(json::list(list, "columnDefinitions").size(), json::list(row, "cells").size());
  auto full = get(kConfigMaps + "?includeObject=Object", table).body;
  EXPECT_TRUE(json::has(json::list(full, "rows")[0], "object", "data"));
  auto events = watch(kConfigMaps + "?watch=true", 1, table);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(json::str(events[0], "object", "kind"), "Table");
  http::Headers partial{{"Accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}};
  EXPECT_EQ(json::str(get(kConfigMaps, partial).body, "kind"), "PartialObjectMetadataList");
}

// What is spliced from stored text says the same as what is made of values (as pretty answers are).
TEST_F(ServerTest, TablesOfStoredTextAreThoseOfValues) {
  auto odd = config_map("odd");
  json::set(odd, R"(}{"\"][},:"metadata":{)", "metadata", "annotations", "note");
  make(kConfigMaps, odd);
  make(kConfigMaps, config_map("plain"));
  for (int i = 0; i < 3; ++i) make(kPods, pod("p" + std::to_string(i), "n1"));
  for (const char* accept : {"application/json;as=Table;v=v1;g=meta.k8s.io",
                             "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"})
    for (const auto& target : {kConfigMaps + "?a=b", kPods + "?limit=2", kPods + "?includeObject=Object",
                               kPods + "?includeObject=None", kConfigMaps + "?labelSelector=value%3Dno"}) {
      http::Headers headers{{"Accept", accept}};
      auto text = get(target, headers), values = get(target + "&pretty=true", headers);
      ASSERT_EQ(text.status, 200) << text.text;
      for (auto* body : {&text.body, &values.body}) json::erase(*body, "metadata", "continue");
      EXPECT_EQ(text.body, values.body) << target << "\n" << text.text << "\n" << values.text;
    }
}

TEST_F(ServerTest, PodsOfANodeFollowBindingAndDeletion) {
  auto on = [&](std::string node) { return names_of(get("/api/v1/pods?fieldSelector=spec.nodeName%3D" + node).body); };
  make(kPods, pod("a"));
  make(kPods, pod("b", "n1"));
  EXPECT_EQ(on("n1"), Names{"b"});
  EXPECT_EQ(on(""), Names{"a"});
  auto bound = post(kPods + "/a/binding", json::Object{{"metadata", json::Object{{"name", "a"}}},
                                                       {"target", json::Object{{"kind", "Node"}, {"name", "n1"}}}});
  ASSERT_EQ(bound.status, 201) << bound.text;
  EXPECT_EQ(on("n1"), (Names{"a", "b"}));
  EXPECT_EQ(on(""), Names{});
  start_server();
  EXPECT_EQ(on("n1"), (Names{"a", "b"}));
  EXPECT_EQ(remove(kPods + "/b?gracePeriodSeconds=0").status, 200);
  EXPECT_EQ(on("n1"), Names{"a"});
  EXPECT_EQ(names_of(get("/api/v1/pods?fieldSelector=spec.nodeName!%3Dn1").body), Names{});
}

}  // namespace
}  // namespace lab::apiserver
