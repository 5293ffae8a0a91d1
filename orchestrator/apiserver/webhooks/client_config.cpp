#include "orchestrator/apiserver/webhooks/client_config.h"

#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/http/client.h"
#include "base/io/address.h"
#include "orchestrator/apiserver/webhooks/service_address.h"

namespace lab::apiserver::webhooks {
namespace {

constexpr const char* kSystemRoots = "/etc/ssl/certs/ca-certificates.crt";
constexpr std::size_t kLongestRefusal = 2048;  // of what a webhook says in an error that is no review

const std::string& system_roots() {
  static const std::string roots = [] {
    auto read = fs::read_file(kSystemRoots);
    return read ? std::move(*read) : std::string();
  }();
  return roots;
}

Result<json::Value> read_answer(const http::Response& response) {
  auto text = response.text();
  if (response.status == 404) return fail(Code::kNotFound, "the server could not find the requested resource");
  if (response.status < 200 || response.status > 299) {
    if (text.size() > kLongestRefusal) text.resize(kLongestRefusal);
    return fail(Code::kUnavailable, "an error on the server (" + json::dump(json::Value(text)) +
                                        ") has prevented the request from succeeding");
  }
  auto answer = json::parse(text);
  if (!answer) return std::unexpected(std::move(answer).error().with_context("the answer is no review"));
  return answer;
}

}  // namespace

std::string ClientConfig::url() const {
  return "https://" + host + (port == 443 && !service ? "" : ":" + std::to_string(port)) + path;
}

std::shared_ptr<const ClientConfig> read_client_config(const json::Value& config) {
  auto out = std::make_shared<ClientConfig>();
  if (const auto& service = json::at(config, "service"); service.is_object()) {
    out->service = true;
    out->ns = json::str(service, "namespace");
    out->name = json::str(service, "name");
    out->host = out->name + "." + out->ns + ".svc";
    if (auto port = json::num(service, "port"); port > 0) out->port = static_cast<int>(port);
    out->path = json::str(service, "path");
  } else if (auto url = http::parse_url(json::str(config, "url")); url && url->scheme == "https") {
    out->host = url->host;
    out->port = url->port;
    out->path = url->path;
  } else {
    out->trouble = "the client configuration has neither a url nor a service";
  }
  if (!out->path.starts_with('/')) out->path.insert(0, "/");
  if (auto bundle = json::str(config, "caBundle"); !bundle.empty()) {
    if (auto pem = crypto::base64_decode(bundle)) {
      out->ca_pem = std::move(*pem);
    } else {
      out->trouble = "caBundle is not base64";
    }
  }
  return out;
}

Task<Result<json::Value>> post(const ObjectReader& reader, std::shared_ptr<const ClientConfig> config, std::string body,
                               Duration timeout) {
  if (!config->trouble.empty()) co_return fail(Code::kBadRequest, config->trouble);
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(timeout).count();
  const auto query =
      (config->path.find('?') == std::string::npos ? "?timeout=" : "&timeout=") + std::to_string(seconds) + "s";
  const auto what = "Post \"" + config->url() + query + "\"";
  http::Endpoint endpoint;
  endpoint.host = config->host;
  endpoint.port = config->port;
  if (config->service) {
    auto address = resolve_service(reader, config->ns, config->name, config->port);
    if (!address) co_return std::unexpected(std::move(address).error().with_context(what));
    endpoint.host = address->host;
    endpoint.port = address->port;
  }
  TlsClientConfig tls;
  tls.ca_pem = config->ca_pem.empty() ? system_roots() : config->ca_pem;
  tls.server_name = config->host;
  if (tls.ca_pem.empty())
    co_return fail(Code::kIo,
                   what + ": tls: failed to verify certificate: x509: certificate signed by unknown authority",
                   "give its CA as caBundle: this machine has no trust roots of its own");
  endpoint.tls = std::move(tls);
  // What the client itself would say of where it went.
  const auto where = "POST https://" + host_port(endpoint.host, endpoint.port) + config->path + query + ": ";
  http::Request request;
  request.method = "POST";
  request.target = config->path + query;
  request.headers = {{"Content-Type", "application/json"},
                     {"Accept", "application/json, */*"},
                     {"User-Agent", "kube-apiserver-admission"},
                     {"Host", config->host + ":" + std::to_string(config->port)}};
  request.body = std::move(body);
  auto client = http::Client::make(std::move(endpoint), {.connect_timeout = timeout, .request_timeout = timeout});
  auto response = co_await client->send(std::move(request));
  if (!response) {
    if (response.error().code == Code::kTimeout) co_return fail(Code::kTimeout, what + ": context deadline exceeded");
    auto error = std::move(response).error();
    if (error.message.starts_with(where)) error.message.erase(0, where.size());
    co_return std::unexpected(std::move(error).with_context(what));
  }
  co_return read_answer(*response);
}

}  // namespace lab::apiserver::webhooks
