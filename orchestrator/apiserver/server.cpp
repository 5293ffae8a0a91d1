#include "orchestrator/apiserver/server.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/fs.h"
#include "base/http/server.h"
#include "base/io/scope.h"
#include "base/log.h"
#include "orchestrator/apiserver/core.h"
#include "orchestrator/apiserver/in_process.h"

namespace lab::apiserver {
namespace {

constexpr Duration kRetryInterval = std::chrono::milliseconds(500);
constexpr Duration kUpkeepInterval = std::chrono::seconds(10);  // of the `kubernetes` Service, as kube-apiserver does

std::function<Result<TlsServerConfig>()> tls_loader(const ServerOptions& options) {
  if (options.tls_cert_file.empty()) return {};
  return [cert = options.tls_cert_file, key = options.tls_key_file,
          ca = options.client_ca_file]() -> Result<TlsServerConfig> {
    TlsServerConfig tls;
    LAB_TRY(tls.certificate_chain_pem, fs::read_file(cert));
    LAB_TRY(tls.private_key_pem, fs::read_file(key));
    if (!ca.empty()) {
      LAB_TRY(tls.client_ca_pem, fs::read_file(ca));
    }
    return tls;
  };
}

class Server final : public ApiServer {
 public:
  Server(std::shared_ptr<Core> core) : core_(std::move(core)), loop_("apiserver"), scope_(loop_.loop()) {}

  ~Server() override {
    shutdown(std::chrono::seconds(0));
    listener_.reset();
    core_->cache->stop();  // requests of a loop that died may hold the core, but the store may go now
  }

  Result<void> listen() {
    const auto& options = core_->options;
    http::ServerOptions wanted;
    wanted.address = options.listen_address;
    wanted.port = options.port;
    wanted.threads = options.threads;
    wanted.tls = tls_loader(options);
    LAB_TRY(listener_,
            http::Server::start(std::move(wanted), [core = core_](http::Request request, http::ResponseWriter& writer) {
              return core->chain->serve(std::move(request), writer);
            }));
    scope_.spawn("system objects", prepare());
    return {};
  }

  int port() const override { return listener_->port(); }
  bool ready() const override { return core_->system_objects_made && !core_->shutting_down; }

  Result<void> wait_ready(Duration limit) override {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, limit, [&] { return ready(); })) return {};
    return fail(Code::kTimeout, "the API server is not ready in time" + (trouble_.empty() ? "" : ": " + trouble_));
  }

  std::unique_ptr<client::Transport> in_process(Identity user, Loop& loop) override {
    return make_in_process_transport(
        [core = core_](http::Request request, http::ResponseWriter& writer, std::optional<Identity> as) {
          return core->chain->serve(std::move(request), writer, std::move(as));
        },
        std::move(user), loop, core_);
  }

  Result<void> reload_tls() override { return listener_->reload_tls(); }

  void shutdown(Duration grace) override {
    if (core_->shutting_down.exchange(true)) return;
    std::mutex mutex;
    std::condition_variable done;
    bool closed = false;
    Scope closing(loop_.loop());
    closing.spawn("close", [&]() -> Task<void> {
      co_await scope_.close();
      std::lock_guard lock(mutex);
      closed = true;
      done.notify_all();
    });
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return closed; });
    if (listener_) listener_->shutdown(grace);
  }

 private:
  // Until it succeeds: the store may still be on its way. Then upkeep, for as long as the server runs.
  Task<void> prepare() {
    while (true) {
      auto made = co_await core_->make_system_objects();
      {
        std::lock_guard lock(mutex_);
        trouble_ = made ? std::string() : made.error().text();
      }
      changed_.notify_all();
      if (made) break;
      log::warn("the system objects could not be made, trying again", {{"reason", made.error().text()}});
      if (!co_await sleep_for(kRetryInterval, scope_.token())) co_return;
    }
    scope_.spawn("custom resources", core_->custom_resources->run(scope_.token()));
    scope_.spawn("aggregation", core_->aggregator->run(scope_.token()));
    do {
      if (auto kept = co_await core_->keep_own_service(port()); !kept)
        log::warn("the kubernetes Service could not be kept up", {{"reason", kept.error().text()}});
    } while (co_await sleep_for(core_->options.store->shared() ? hooks::MasterLeases::kRenew : kUpkeepInterval,
                                scope_.token()));
    co_await core_->leave_own_service();
  }

  std::shared_ptr<Core> core_;
  LoopThread loop_;
  Scope scope_;
  std::unique_ptr<http::Server> listener_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string trouble_;
};

}  // namespace

Result<std::unique_ptr<ApiServer>> ApiServer::start(ServerOptions options) {
  if (!options.store) return fail(Code::kBadRequest, "an API server needs a store");
  LAB_TRY(auto core, Core::make(std::move(options)));
  auto server = std::make_unique<Server>(std::move(core));
  LAB_CHECK(server->listen());
  return server;
}

}  // namespace lab::apiserver
