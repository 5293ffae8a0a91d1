// Cluster: a blocking face of the API client, for phases and commands that run straight through.
//
// Owns a loop on a thread of its own. Calls may come from one thread at a time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/io/loop.h"
#include "orchestrator/client/client.h"

namespace lab::bootstrap {

class Cluster {
 public:
  static Result<std::unique_ptr<Cluster>> open(const std::string& kubeconfig_path);
  static std::unique_ptr<Cluster> connect(client::RestConfig config);
  ~Cluster();

  Result<json::Value> get(client::Resource r, const std::string& ns, const std::string& name);
  Result<json::Value> list(client::Resource r, const std::string& ns = {}, client::ListOptions options = {});
  Result<json::Value> create(client::Resource r, const std::string& ns, json::Value object);
  Result<json::Value> patch(client::Resource r, const std::string& ns, const std::string& name, client::PatchType type,
                            json::Value body, const std::string& subresource = {});
  Result<void> remove(client::Resource r, const std::string& ns, const std::string& name,
                      client::DeleteOptions options = {});
  // Creates the object, or merges it into the one that is there: what init and the addons write.
  Result<json::Value> apply(client::Resource r, json::Value object);
  Result<http::Response> raw(http::Request request);

  // Any coroutine over the client, awaited from this thread.
  template <class T>
  Result<T> call(std::function<Task<Result<T>>(client::Client&)> make);

  const client::RestConfig& config() const;

 private:
  struct Impl;
  explicit Cluster(std::unique_ptr<Impl> impl);
  void run(std::function<Task<void>(client::Client&)> make);
  std::unique_ptr<Impl> impl_;
};

template <class T>
Result<T> Cluster::call(std::function<Task<Result<T>>(client::Client&)> make) {
  std::optional<Result<T>> out;
  run([&](client::Client& c) -> Task<void> { out.emplace(co_await make(c)); });
  if (!out) return fail(Code::kInternal, "the call ended without a result");
  return std::move(*out);
}

// Asks `probe` until it holds. Until then it says what is still missing; that text and `hint` make the error.
// `progress` hears the state about every second.
Result<void> wait_until(std::chrono::seconds limit, const std::string& what, const std::string& hint,
                        std::function<Result<void>()> probe, std::function<void(const std::string&)> progress = {});

}  // namespace lab::bootstrap
