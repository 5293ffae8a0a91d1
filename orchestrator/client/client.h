// Client: the Kubernetes API as controllers, agents and commands use it. Objects are JSON values.
//
// It stands on a Transport: HTTPS to a server elsewhere, or the API server's own filter chain in the same process. Code
// above never knows which. Used on one loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/http/client.h"
#include "base/http/message.h"
#include "base/json.h"
#include "orchestrator/client/resource.h"

namespace lab::client {

class Transport {
 public:
  virtual ~Transport() = default;
  virtual Task<Result<http::Response>> send(http::Request request) = 0;
  virtual Task<Result<std::unique_ptr<http::ResponseStream>>> open(http::Request request) = 0;
  virtual Task<Result<http::Upgraded>> upgrade(http::Request request) = 0;
};

// How to reach and authenticate to a server: what a kubeconfig's current context says.
struct RestConfig {
  std::string server;  // https://host:port
  std::string ca_pem;
  std::string certificate_pem, private_key_pem;
  std::string token;
  bool insecure = false;
  std::string tls_server_name;  // the name to verify instead of the dialled host; may be empty
  std::string user_agent = "lab";
  std::string ns;  // the context's namespace; "" where it names none
  // Reads the credentials anew from where they came (files rotate); empty where they cannot change.
  std::function<Result<RestConfig>()> reload;
};
// NotFound or Invalid, naming the file and the field. `context` "" means current-context.
Result<RestConfig> load_kubeconfig(const std::string& path, const std::string& context = {});
// Relative file names in it are taken from `directory`.
Result<RestConfig> parse_kubeconfig(std::string_view text, const std::string& directory = ".",
                                    const std::string& context = {});
// Keeps its connections; after a 401 or a failed connection it reloads the credentials, and tries once more when they
// changed. Used on one loop.
std::unique_ptr<Transport> make_https_transport(RestConfig config);

struct ListOptions {
  std::string label_selector, field_selector;
  std::string resource_version;  // "" = current, "0" = any
  std::int64_t limit = 0;
  std::string continue_token;
  bool metadata_only = false;        // asks for PartialObjectMetadata; the answer may still be whole objects
  std::int64_t timeout_seconds = 0;  // watches: the server ends them after this long; 0: its own choice
};
struct WatchEvent {
  enum Type { kAdded, kModified, kDeleted, kBookmark } type = kAdded;
  json::Value object;
};
struct DeleteOptions {
  std::optional<std::int64_t> grace_seconds;
  std::string propagation;            // "", Foreground, Background, Orphan
  std::string uid, resource_version;  // preconditions
};
enum class PatchType { kJson, kMerge, kStrategic, kApply };

class WatchStream {
 public:
  virtual ~WatchStream() = default;
  // Empty at the server's orderly end; kGone when the revision is too old; kCancelled after close().
  virtual Task<Result<std::optional<WatchEvent>>> next() = 0;
  virtual void close() = 0;
};

class Client {
 public:
  explicit Client(std::unique_ptr<Transport> transport);
  ~Client();

  // `ns` is "" for cluster-scoped resources, and for lists over all namespaces.
  Task<Result<json::Value>> get(Resource r, std::string ns, std::string name);
  Task<Result<json::Value>> list(Resource r, std::string ns = {}, ListOptions options = {});
  Task<Result<json::Value>> create(Resource r, std::string ns, json::Value object);
  Task<Result<json::Value>> update(Resource r, std::string ns, json::Value object);  // name from metadata
  Task<Result<json::Value>> update_status(Resource r, std::string ns, json::Value object);
  Task<Result<json::Value>> patch(Resource r, std::string ns, std::string name, PatchType type, json::Value body,
                                  std::string subresource = {});
  Task<Result<json::Value>> remove(Resource r, std::string ns, std::string name, DeleteOptions options = {});
  Task<Result<json::Value>> create_sub(Resource r, std::string ns, std::string name, std::string subresource,
                                       json::Value body);  // pods/binding, pods/eviction, serviceaccounts/token
  Task<Result<json::Value>> update_sub(Resource r, std::string ns, std::string name, std::string subresource,
                                       json::Value body);
  Task<Result<std::unique_ptr<WatchStream>>> watch(Resource r, std::string ns, ListOptions options);

  // Anything else: an absolute path such as "/version" or "/readyz".
  Task<Result<http::Response>> raw(http::Request request);
  Transport& transport();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Path of a collection or object: /apis/apps/v1/namespaces/NS/deployments[/NAME[/SUB]]
std::string path_of(const Resource& r, std::string_view ns, std::string_view name = {}, std::string_view sub = {});
// An Error out of a Status answer.
Error error_of(const http::Response& response);

}  // namespace lab::client
