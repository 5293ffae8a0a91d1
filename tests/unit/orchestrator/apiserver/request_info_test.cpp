#include "orchestrator/apiserver/request_info.h"

#include <gtest/gtest.h>

#include "orchestrator/apiserver/negotiate.h"

namespace lab::apiserver {
namespace {

RequestInfo info_of(std::string method, std::string target) {
  http::Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  return request_info(request, http::Query(request.raw_query()));
}

TEST(RequestInfoTest, NamesCoreAndGroupResources) {
  auto pod = info_of("GET", "/api/v1/namespaces/default/pods/web");
  EXPECT_TRUE(pod.resource_request);
  EXPECT_EQ(pod.verb, "get");
  EXPECT_EQ(pod.resource, "pods");
  EXPECT_EQ(pod.ns, "default");
  EXPECT_EQ(pod.name, "web");
  auto scale = info_of("PATCH", "/apis/apps/v1/namespaces/a/deployments/b/scale");
  EXPECT_EQ(scale.group, "apps");
  EXPECT_EQ(scale.subresource, "scale");
  EXPECT_EQ(scale.verb, "patch");
}

TEST(RequestInfoTest, TellsListWatchAndCollectionsApart) {
  EXPECT_EQ(info_of("GET", "/api/v1/pods").verb, "list");
  EXPECT_EQ(info_of("GET", "/api/v1/pods?watch=true").verb, "watch");
  EXPECT_EQ(info_of("GET", "/api/v1/watch/pods").verb, "watch");
  EXPECT_EQ(info_of("DELETE", "/api/v1/namespaces/a/pods").verb, "deletecollection");
  EXPECT_EQ(info_of("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dx").name, "x");
}

TEST(RequestInfoTest, KnowsThatNamespacesHoldTheirOwnSubresources) {
  auto one = info_of("GET", "/api/v1/namespaces/kube-system");
  EXPECT_EQ(one.resource, "namespaces");
  EXPECT_EQ(one.name, "kube-system");
  auto finalize = info_of("PUT", "/api/v1/namespaces/a/finalize");
  EXPECT_EQ(finalize.resource, "namespaces");
  EXPECT_EQ(finalize.subresource, "finalize");
  EXPECT_EQ(info_of("GET", "/api/v1/namespaces/a/pods").resource, "pods");
}

TEST(RequestInfoTest, KeepsWhatFollowsAProxy) {
  auto proxy = info_of("GET", "/api/v1/namespaces/a/services/web:80/proxy/x/y");
  EXPECT_EQ(proxy.subresource, "proxy");
  EXPECT_EQ(proxy.rest, (std::vector<std::string>{"x", "y"}));
  EXPECT_TRUE(proxy.long_running());
  EXPECT_FALSE(info_of("GET", "/version").resource_request);
  EXPECT_EQ(info_of("GET", "/version").verb, "get");
}

Result<Accepted> accept(std::string value) {
  http::Request request;
  request.headers.set("Accept", std::move(value));
  return negotiate(request, http::Query(), true);
}

TEST(NegotiateTest, TakesTheFirstFormItKnows) {
  auto table = accept("application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
  ASSERT_TRUE(table);
  EXPECT_EQ(table->shape, Shape::kTable);
  EXPECT_EQ(accept("application/json;as=Table;v=v9;g=meta.k8s.io,application/json")->shape, Shape::kObject);
  EXPECT_EQ(accept("application/vnd.kubernetes.protobuf,application/json")->format, Format::kProtobuf);
  EXPECT_EQ(accept("*/*")->format, Format::kJson);
  auto none = accept("text/html");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kNotAcceptable);
}

}  // namespace
}  // namespace lab::apiserver
