#include "base/log.h"
#include "orchestrator/client/client.h"

namespace lab::client {

namespace {

bool same_credentials(const RestConfig& a, const RestConfig& b) {
  return a.server == b.server && a.ca_pem == b.ca_pem && a.certificate_pem == b.certificate_pem &&
         a.private_key_pem == b.private_key_pem && a.token == b.token && a.insecure == b.insecure &&
         a.tls_server_name == b.tls_server_name;
}

Result<http::Endpoint> endpoint_of(const RestConfig& config, std::string& prefix) {
  LAB_TRY(http::Url url, http::parse_url(config.server));
  http::Endpoint endpoint;
  endpoint.host = url.host;
  endpoint.port = url.port;
  if (url.scheme == "https") {
    TlsClientConfig tls;
    tls.ca_pem = config.ca_pem;
    tls.certificate_pem = config.certificate_pem;
    tls.private_key_pem = config.private_key_pem;
    tls.server_name = config.tls_server_name;
    tls.insecure = config.insecure;
    endpoint.tls = std::move(tls);
  }
  prefix = url.path == "/" ? "" : url.path;
  while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();
  return endpoint;
}

// Keeps the client of a stream alive, since a reload may replace it meanwhile.
class HeldStream final : public http::ResponseStream {
 public:
  HeldStream(std::shared_ptr<http::Client> client, std::unique_ptr<http::ResponseStream> stream)
      : client_(std::move(client)), stream_(std::move(stream)) {}
  int status() const override { return stream_->status(); }
  const http::Headers& headers() const override { return stream_->headers(); }
  Task<Result<std::string>> read() override { return stream_->read(); }
  void close() override { stream_->close(); }

 private:
  std::shared_ptr<http::Client> client_;
  std::unique_ptr<http::ResponseStream> stream_;
};

class HttpsTransport final : public Transport {
 public:
  explicit HttpsTransport(RestConfig config) : config_(std::move(config)) { connect(); }

  Task<Result<http::Response>> send(http::Request request) override {
    auto client = client_;
    if (!client) co_return std::unexpected(*bad_config_);
    auto response = co_await client->send(prepared(request));
    if (!worth_reloading(response, [](const http::Response& r) { return r.status; }) || !reload())
      co_return std::move(response);
    client = client_;
    co_return co_await client->send(prepared(request));
  }

  Task<Result<std::unique_ptr<http::ResponseStream>>> open(http::Request request) override {
    auto client = client_;
    if (!client) co_return std::unexpected(*bad_config_);
    auto stream = co_await client->open(prepared(request));
    if (worth_reloading(stream, [](const auto& s) { return s->status(); }) && reload()) {
      client = client_;
      stream = co_await client->open(prepared(request));
    }
    if (!stream) co_return std::unexpected(std::move(stream).error());
    std::unique_ptr<http::ResponseStream> held = std::make_unique<HeldStream>(std::move(client), std::move(*stream));
    co_return std::move(held);
  }

  Task<Result<http::Upgraded>> upgrade(http::Request request) override {
    auto client = client_;
    if (!client) co_return std::unexpected(*bad_config_);
    co_return co_await client->upgrade(prepared(request));
  }

 private:
  void connect() {
    std::string prefix;
    auto endpoint = endpoint_of(config_, prefix);
    if (!endpoint) {
      bad_config_ = std::move(endpoint).error();
      return;
    }
    prefix_ = std::move(prefix);
    // Requests under way keep the client they began with.
    client_ = http::Client::make(std::move(*endpoint));
  }

  http::Request prepared(const http::Request& request) const {
    http::Request out = request;
    out.target = prefix_ + out.target;
    if (!config_.token.empty()) out.headers.set("Authorization", "Bearer " + config_.token);
    if (!out.headers.has("User-Agent")) out.headers.set("User-Agent", config_.user_agent);
    return out;
  }

  // Only where the request surely had no effect: refused by the authenticator, or never sent, be it that the server's
  // certificate is of a CA that the file may know by now (kIo: no TLS connection came about).
  template <class R, class Status>
  bool worth_reloading(const R& result, Status status) const {
    if (!config_.reload) return false;
    if (result) return status(*result) == 401;
    return result.error().code == Code::kUnavailable || result.error().code == Code::kIo;
  }

  // True when there are other credentials now than those just used.
  bool reload() {
    auto fresh = config_.reload();
    if (!fresh) {
      log::warn("credentials could not be read again", {{"why", fresh.error().text()}});
      return false;
    }
    if (same_credentials(*fresh, config_)) return false;
    auto source = config_.reload;
    config_ = std::move(*fresh);
    if (!config_.reload) config_.reload = std::move(source);
    connect();
    return client_ != nullptr;
  }

  RestConfig config_;
  std::string prefix_;
  std::shared_ptr<http::Client> client_;
  std::optional<Error> bad_config_;
};

}  // namespace

std::unique_ptr<Transport> make_https_transport(RestConfig config) {
  return std::make_unique<HttpsTransport>(std::move(config));
}

}  // namespace lab::client
