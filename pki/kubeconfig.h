// kubeconfig files (clientcmd/v1) with the certificates embedded.
#pragma once

#include <string>

#include "base/json.h"

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

}  // namespace lab::pki
