// kubeconfig files (clientcmd/v1) with the certificates embedded.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace lab::pki {

struct KubeconfigSpec {
  std::string cluster = "kubernetes";
  std::string user;
  std::string server;                 // https://host:port
  std::string ca_pem;                 // empty: none embedded
  std::string certificate_pem, key_pem;
  std::string token;
  std::string certificate_file, key_file;   // by path instead of embedded
  std::string context;                // default USER@CLUSTER
  std::string ns;
};

json::Value make_kubeconfig(const KubeconfigSpec& spec);
// The JSON value as YAML text in kubectl's order of fields.
std::string kubeconfig_text(const KubeconfigSpec& spec);

// A kubeconfig's text with another CA, and with another server where that is not empty, in its current context's cluster.
// The rest stays. Invalid for what is no kubeconfig.
Result<std::string> with_cluster(std::string_view kubeconfig, const std::string& ca_pem, const std::string& server = {});

}  // namespace lab::pki
