// What a student's root writes into admin.conf must not act on this machine.
#include "bootstrap/local/lab_kubeconfig.h"

#include <gtest/gtest.h>

#include "pki/kubeconfig.h"

namespace lab::bootstrap {
namespace {

constexpr const char* kTrapped = R"(apiVersion: v1
kind: Config
clusters:
- name: a
  cluster:
    server: https://10.9.9.9:7443
    certificate-authority-data: Q0E=
    proxy-url: http://10.9.9.9
contexts:
- name: x
  context: {cluster: a, user: u}
current-context: x
users:
- name: u
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
    tokenFile: /etc/shadow
    exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/sh}
)";

TEST(LabKubeconfig, OnlyWhatIdentifiesIsTaken) {
  auto made = lab_kubeconfig(kTrapped, "192.168.77.2");
  ASSERT_TRUE(made) << made.error().text();
  EXPECT_EQ(*made, pki::kubeconfig_text({.user = "kubernetes-admin",
                                         .server = "https://192.168.77.2:7443",
                                         .ca_pem = "CA",
                                         .certificate_pem = "CERT",
                                         .key_pem = "KEY"}));
}

TEST(LabKubeconfig, FilesOfThisMachineAreNotNamed) {
  std::string text = kTrapped;
  const std::string written = "client-key-data: S0VZ";
  text.replace(text.find(written), written.size(), "client-key: /etc/shadow");
  auto made = lab_kubeconfig(text, "192.168.77.2");
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("client-key-data"), std::string::npos) << made.error().text();
}

TEST(LabKubeconfig, WhateverStandsThereIsAnErrorAndNoCrash) {
  for (const char* text : {"", "[]", "a: [", "clusters: 3", "current-context: x\ncontexts: [{name: x}]"})
    EXPECT_FALSE(lab_kubeconfig(text, "192.168.77.2")) << text;
}

}  // namespace
}  // namespace lab::bootstrap
