// ClientConfig: where a webhook is and how its certificate is verified; post(): one call to it.
//
// The `clientConfig` of admissionregistration.k8s.io/v1 and of a CustomResourceDefinition's conversion. Immutable, any
// thread; post() runs on the caller's loop.
#pragma once

#include <memory>
#include <string>

#include "base/io/loop.h"
#include "base/json.h"
#include "orchestrator/apiserver/object_reader.h"

namespace lab::apiserver::webhooks {

struct ClientConfig {
  bool service = false;  // else by url
  std::string host;      // of the url, or NAME.NAMESPACE.svc: what the certificate must be for
  int port = 443;
  std::string path = "/";
  std::string ns, name;  // of the Service
  std::string ca_pem;    // empty: this machine's trust roots
  std::string trouble;   // why it cannot be called; empty: it can

  std::string url() const;  // as errors show it
};
std::shared_ptr<const ClientConfig> read_client_config(const json::Value& config);

// POSTs a review and gives the parsed answer. `timeout` is the whole call's, and is told to the webhook in whole
// seconds. Errors begin as Go's client words them: `Post "https://...?timeout=10s": context deadline exceeded`.
Task<Result<json::Value>> post(const ObjectReader& reader, std::shared_ptr<const ClientConfig> config, std::string body,
                               Duration timeout);

}  // namespace lab::apiserver::webhooks
