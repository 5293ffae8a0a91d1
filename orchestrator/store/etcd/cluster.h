// Cluster: calls to an etcd cluster by any of its endpoints, with failover. One loop, but for current().
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/grpc/channel.h"
#include "base/result.h"

namespace lab::store::etcd {

struct ClusterOptions {
  std::vector<std::string> endpoints;          // "https://10.0.0.1:2379"; http without TLS
  std::string ca_file, cert_file, key_file;    // for https
  Duration attempt = std::chrono::seconds(5);  // how long one endpoint may take to answer
  Duration limit = std::chrono::seconds(8);    // how long a call looks for an endpoint
};

class Cluster {
 public:
  // Reads the files; connects later. kInvalid for an endpoint that is no URL.
  static Result<std::shared_ptr<Cluster>> make(ClusterOptions options);
  ~Cluster();

  // What a failed attempt allows. kWrite: sent again only when it surely was not received.
  enum class Kind { kRead, kWrite };
  // One request to the first endpoint that answers.
  Task<Result<std::string>> call(std::string method, std::string request, Kind kind, std::stop_token stop = {});

  // The endpoint in use, and its place for failed(): later calls go to the next one, unless somebody was quicker.
  std::pair<std::shared_ptr<rpc::Channel>, std::size_t> current() const;
  void failed(std::size_t place);
  const std::string& shown() const { return shown_; }  // the endpoints, for messages

 private:
  explicit Cluster(ClusterOptions options);
  Failure explain(const Error& error, Kind kind, bool sent) const;

  ClusterOptions options_;
  std::string shown_;
  std::vector<std::shared_ptr<rpc::Channel>> channels_;
  mutable std::mutex mutex_;
  std::size_t place_ = 0;
};

}  // namespace lab::store::etcd
