// What a compose file may say, what it becomes, and what is said of what cannot be honoured.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "labs/compose/objects.h"

namespace lab::compose {
namespace {

struct ComposeTest : testing::Test {
  const std::string directory = testing::TempDir() + "lab-compose-" + std::to_string(::getpid());
  const Cluster cluster{{"node1", "node2"}, {"10.0.0.2", "10.0.0.3"}};

  void TearDown() override { EXPECT_TRUE(fs::remove_all(directory)); }
  Result<Project> read(const std::string& text, const std::string& name = "shop") {
    EXPECT_TRUE(fs::make_dirs(directory));
    EXPECT_TRUE(fs::write_file(directory + "/compose.yaml", text));
    return read_project(directory + "/compose.yaml", name);
  }
  json::Value object(const Project& p, const std::string& service, const std::string& kind, const std::string& name) {
    for (const auto& s : p.services)
      for (auto& o : objects_of(p, s, cluster))
        if (s.name == service && json::str(o, "kind") == kind && json::str(o, "metadata", "name") == name) return o;
    ADD_FAILURE() << "no " << kind << " " << name;
    return nullptr;
  }
};

TEST_F(ComposeTest, TheSampleApplication) {
  auto p = read_project(LAB_SOURCE_DIR "/labs/dockercoins/docker-compose.yml", "");
  ASSERT_TRUE(p) << p.error().text();
  EXPECT_EQ(p->name, "dockercoins");
  EXPECT_EQ(p->services.size(), 5u);
  EXPECT_TRUE(p->warnings.empty());
  auto published = object(*p, "webui", "Service", "webui-published");
  EXPECT_EQ(json::num(json::list(published, "spec", "ports")[0], "port"), 8000);
  EXPECT_EQ(json::num(json::list(published, "spec", "ports")[0], "targetPort"), 80);
  EXPECT_EQ(json::list(published, "spec", "externalIPs").size(), 2u);
  EXPECT_EQ(json::str(object(*p, "redis", "Service", "redis"), "spec", "clusterIP"), "None");
}

TEST_F(ComposeTest, AServiceInFull) {
  ::setenv("LAB_COMPOSE_TAG", "v2", 1);
  auto p = read(R"(
services:
  web:
    image: me/web:${LAB_COMPOSE_TAG}
    command: sh -c 'echo "a b"; sleep 1'
    environment: [COLOUR=blue, "NONE=${NOTHING_HERE:-plain}"]
    ports: ["127.0.0.1:8080:80", 9000, "53:5353/udp"]
    volumes: ["data:/data:ro", /scratch]
    depends_on: {db: {condition: service_healthy}}
    deploy: {replicas: 3}
  db:
    image: redis:7
    environment: {SIZE: 3}
    healthcheck: {test: [CMD, redis-cli, ping], interval: 2s}
    volumes: ["data:/var/lib/redis"]
  once:
    image: busybox
    restart: "no"
    entrypoint: [sh, -c]
    user: "1000:1000"
volumes: {data: }
)");
  ASSERT_TRUE(p) << p.error().text();
  EXPECT_EQ(p->services[0].name, "db") << "those that others depend on come first";
  auto web = object(*p, "web", "Deployment", "web");
  const auto& pod = json::at(web, "spec", "template", "spec");
  const auto& c = json::list(pod, "containers")[0];
  EXPECT_EQ(json::str(c, "image"), "me/web:v2");
  EXPECT_EQ(json::dump(json::at(c, "args")), R"(["sh","-c","echo \"a b\"; sleep 1"])");
  EXPECT_EQ(json::dump(json::at(c, "env")), R"([{"name":"COLOUR","value":"blue"},{"name":"NONE","value":"plain"}])");
  EXPECT_EQ(json::num(web, "spec", "replicas"), 3);
  EXPECT_EQ(json::list(c, "volumeMounts").size(), 2u);
  auto ports = json::list(object(*p, "web", "Service", "web-published"), "spec", "ports");
  ASSERT_EQ(ports.size(), 2u) << "9000 is not published";
  EXPECT_EQ(json::num(ports[0], "port"), 8080);
  EXPECT_EQ(json::str(ports[1], "protocol"), "UDP");
  auto db = object(*p, "db", "Deployment", "db");
  EXPECT_EQ(json::str(db, "spec", "template", "spec", "nodeSelector", "kubernetes.io/hostname"),
            json::str(pod, "nodeSelector", "kubernetes.io/hostname"))
      << "whoever uses a volume runs where it is";
  EXPECT_EQ(json::str(json::list(json::list(db, "spec", "template", "spec", "containers")[0], "env")[0], "value"), "3");
  auto once = object(*p, "once", "Job", "once");
  EXPECT_EQ(json::str(once, "spec", "template", "spec", "restartPolicy"), "Never");
}

TEST_F(ComposeTest, WhatCannotBeHonouredIsNamedWithItsPlace) {
  auto p = read(R"(services:
  web:
    image: me/web
    network_mode: host
    ports: ["8080-8090:80"]
    volumes: ["./src:/src", "cache:/cache"]
    restart: sometimes
  db: {}
)");
  ASSERT_FALSE(p);
  for (const char* part :
       {"line 4, column 5: network_mode is no field", "line 5, column 13: 0 is no port",
        "line 6, column 15: 0 binds a directory", "names the volume \"cache\"", "line 7", "db needs an image"})
    EXPECT_NE(p.error().message.find(part), std::string::npos) << part << "\n" << p.error().message;
  auto mild = read("services:\n  web:\n    image: x\n    container_name: y\n");
  ASSERT_TRUE(mild) << mild.error().text();
  ASSERT_EQ(mild->warnings.size(), 1u);
  EXPECT_NE(mild->warnings[0].find("line 4, column 5: container_name has no effect"), std::string::npos)
      << mild->warnings[0];
}

TEST_F(ComposeTest, ACircleIsNamed) {
  auto p = read("services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n");
  ASSERT_FALSE(p);
  EXPECT_NE(p.error().message.find("a, b"), std::string::npos) << p.error().message;
}

TEST(Words, AsAShellSplitsThem) {
  EXPECT_EQ(words_of(R"(a "b c" 'd "e"' f\ g "")"), (std::vector<std::string>{"a", "b c", "d \"e\"", "f g", ""}));
}

}  // namespace
}  // namespace lab::compose
