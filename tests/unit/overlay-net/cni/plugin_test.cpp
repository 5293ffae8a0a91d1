// The plugin's protocol where no kernel and no agent is needed: versions, bad input, errors.
#include "overlay-net/cni/plugin.h"

#include <gtest/gtest.h>

#include <set>

#include "base/json.h"
#include "overlay-net/cni/conflist.h"
#include "overlay-net/cni/protocol.h"
#include "overlay-net/cni/wiring.h"

namespace lab::overlay {
namespace {

CniInvocation invocation(std::string command, std::string config) {
  return {"lab-cni", std::move(command), "c0ffee", "/run/none", "eth0", "", std::move(config)};
}

const std::string kConfig =
    R"({"cniVersion":"1.0.0","name":"lab","type":"lab-cni","agentSocket":"/nowhere/agent.sock"})";

int code_of(const CniOutcome& out) {
  EXPECT_EQ(out.exit_code, 1);
  auto v = json::parse(out.output);
  EXPECT_TRUE(v) << out.output;
  EXPECT_FALSE(json::str(*v, "msg").empty());
  EXPECT_EQ(json::str(*v, "cniVersion"), "1.0.0");
  return int(json::num(*v, "code"));
}

TEST(CniPlugin, Version) {
  auto out = run_cni(invocation("VERSION", R"({"cniVersion":"0.4.0"})"));
  EXPECT_EQ(out.exit_code, 0);
  auto v = *json::parse(out.output);
  EXPECT_EQ(json::str(v, "cniVersion"), "0.4.0");
  std::set<std::string> versions;
  for (const auto& s : json::list(v, "supportedVersions")) versions.emplace(json::as_str(s));
  EXPECT_TRUE(versions.contains("0.4.0") && versions.contains("1.0.0"));
}

TEST(CniPlugin, BadInputHasTheSpecificationsCodes) {
  EXPECT_EQ(code_of(run_cni(invocation("ADD", "{"))), 6);
  EXPECT_EQ(code_of(run_cni(invocation("ADD", "[]"))), 6);
  EXPECT_EQ(code_of(run_cni(invocation("ADD", R"({"cniVersion":"9.9.9","name":"x"})"))), 1);
  EXPECT_EQ(code_of(run_cni(invocation("ADD", R"({"cniVersion":"1.0.0"})"))), 7);
  EXPECT_EQ(code_of(run_cni(invocation("FROB", kConfig))), 4);
  auto in = invocation("ADD", kConfig);
  in.container_id = "";
  EXPECT_EQ(code_of(run_cni(in)), 4);
  in.container_id = "../etc";
  EXPECT_EQ(code_of(run_cni(in)), 4);
  in = invocation("ADD", kConfig);
  in.ifname = "a/b";
  EXPECT_EQ(code_of(run_cni(in)), 4);
  in = invocation("ADD", kConfig);
  in.netns = "";
  EXPECT_EQ(code_of(run_cni(in)), 4);
  EXPECT_EQ(code_of(run_cni(invocation("CHECK", kConfig))), 7);
}

TEST(CniPlugin, WithoutAnAgentTheRuntimeShallTryAgain) {
  auto out = run_cni(invocation("ADD", kConfig));
  EXPECT_EQ(code_of(out), 11);
  EXPECT_NE(out.output.find("/nowhere/agent.sock"), std::string::npos);
}

TEST(CniPlugin, KnowsItsNames) {
  EXPECT_TRUE(is_cni_program("/opt/cni/bin/lab-cni"));
  EXPECT_TRUE(is_cni_program("loopback"));
  EXPECT_FALSE(is_cni_program("/usr/bin/lab"));
}

TEST(CniPlugin, HostDeviceNamesFitAndDiffer) {
  std::set<std::string> names;
  for (int i = 0; i < 2000; ++i) {
    auto name = host_device_name({"container" + std::to_string(i), "eth0", ""});
    EXPECT_LE(name.size(), kMaxLinkName);
    names.insert(name);
  }
  EXPECT_EQ(names.size(), 2000u);
}

TEST(CniProtocol, RoundTripAndRefusals) {
  PodRequest request{"c1", "eth0", "/run/ns", "default", "web", {{"udp", 53, 5353, "10.0.0.1"}}};
  auto back = pod_request_from(to_json(request));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->ports.at(0).host_port, 53);
  EXPECT_EQ(back->ports.at(0).host_ip, "10.0.0.1");
  EXPECT_FALSE(pod_request_from(json::Object{{"ifname", "eth0"}}));
  for (const char* bad : {R"({"protocol":"icmp","hostPort":1,"containerPort":1})",
                          R"({"protocol":"tcp","hostPort":70000,"containerPort":1})",
                          R"({"protocol":"tcp","hostPort":1,"containerPort":0})",
                          R"({"protocol":"tcp","hostPort":1,"containerPort":1,"hostIP":"x"})"}) {
    json::Value v =
        json::Object{{"containerID", "c"}, {"ifname", "e"}, {"portMappings", json::Array{*json::parse(bad)}}};
    EXPECT_FALSE(pod_request_from(v)) << bad;
  }
}

TEST(Conflist, NamesThePluginAndTheSocket) {
  auto v = *json::parse(conflist_text("/run/x.sock"));
  EXPECT_EQ(json::str(v, "cniVersion"), "1.0.0");
  const auto& plugin = json::list(v, "plugins").at(0);
  EXPECT_EQ(json::str(plugin, "type"), "lab-cni");
  EXPECT_EQ(json::str(plugin, "agentSocket"), "/run/x.sock");
  EXPECT_TRUE(json::flag(plugin, "capabilities", "portMappings"));
}

}  // namespace
}  // namespace lab::overlay
