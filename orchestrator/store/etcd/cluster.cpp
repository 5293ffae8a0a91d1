#include "orchestrator/store/etcd/cluster.h"

#include <algorithm>

#include "base/fs.h"
#include "base/http/client.h"
#include "base/log.h"

namespace lab::store::etcd {

namespace {

constexpr Duration kFirstPause = std::chrono::milliseconds(50), kLongestPause = std::chrono::seconds(1);

// gRPC's words for "no connection could be made", after which a request was surely not sent.
bool surely_unsent(const Error& error) {
  return error.code == Code::kUnavailable && error.message.find("failed to connect") != std::string::npos;
}

Result<rpc::ChannelTls> read_tls(const ClusterOptions& o) {
  const char* hint =
      "give etcd's CA and this server's client certificate: --etcd-cafile, --etcd-certfile, --etcd-keyfile";
  if (o.ca_file.empty()) return fail(Code::kInvalid, "an https endpoint of etcd needs a CA to check it by", hint);
  rpc::ChannelTls tls;
  LAB_TRY(tls.ca_pem, fs::read_file(o.ca_file));
  if (o.cert_file.empty() != o.key_file.empty())
    return fail(Code::kInvalid, "etcd's client certificate and its key go together", hint);
  if (!o.cert_file.empty()) {
    LAB_TRY(tls.certificate_pem, fs::read_file(o.cert_file));
    LAB_TRY(tls.private_key_pem, fs::read_file(o.key_file));
  }
  return tls;
}

}  // namespace

Cluster::Cluster(ClusterOptions options) : options_(std::move(options)) {
  for (const auto& e : options_.endpoints) shown_ += (shown_.empty() ? "" : ", ") + e;
}
Cluster::~Cluster() {
  for (auto& channel : channels_) channel->shutdown();
}

Result<std::shared_ptr<Cluster>> Cluster::make(ClusterOptions options) {
  if (options.endpoints.empty())
    return fail(Code::kInvalid, "etcd has no endpoint", "as in --store etcd=https://127.0.0.1:2379");
  std::shared_ptr<Cluster> out(new Cluster(std::move(options)));
  const auto& o = out->options_;
  std::optional<rpc::ChannelTls> tls;
  for (const auto& endpoint : o.endpoints) {
    auto url = http::parse_url(endpoint);
    if (!url || (url->scheme != "http" && url->scheme != "https") || url->host.empty())
      return fail(Code::kInvalid, "\"" + endpoint + "\" is no endpoint of etcd", "as in https://127.0.0.1:2379");
    const bool secure = url->scheme == "https";
    if (secure && !tls) {
      LAB_TRY(tls, read_tls(o));
    }
    out->channels_.push_back(rpc::Channel::to_host(
        url->host, url->port,
        {.tls = secure ? tls : std::nullopt, .hint = "see whether etcd runs there", .keepalive = true}));
  }
  return out;
}

std::pair<std::shared_ptr<rpc::Channel>, std::size_t> Cluster::current() const {
  std::lock_guard lock(mutex_);
  return {channels_[place_ % channels_.size()], place_};
}

void Cluster::failed(std::size_t place) {
  std::lock_guard lock(mutex_);
  if (place_ == place) ++place_;
}

Failure Cluster::explain(const Error& error, Kind kind, bool sent) const {
  if (error.code != Code::kUnavailable && error.code != Code::kTimeout) return std::unexpected(error);
  if (kind == Kind::kWrite && sent)
    return fail(Code::kTimeout, "etcd did not confirm the write, which may have been made or not: " + error.message,
                "read the object again before repeating the request");
  return fail(Code::kUnavailable, "etcd is away (" + shown_ + "): " + error.message,
              "see whether a majority of its members runs, and its logs");
}

Task<Result<std::string>> Cluster::call(std::string method, std::string request, Kind kind, std::stop_token stop) {
  Loop& loop = *Loop::current();
  const TimePoint end = loop.now() + options_.limit;
  Duration pause = kFirstPause;
  for (std::size_t tries = 1;; ++tries) {
    auto [channel, place] = current();
    auto limit = std::min<Duration>(options_.attempt, std::max<Duration>(end - loop.now(), kFirstPause));
    auto answer = co_await channel->call(method, request, limit, stop);
    if (answer) co_return std::move(*answer);
    const Error& error = answer.error();
    const bool away = error.code == Code::kUnavailable || error.code == Code::kTimeout;
    const bool sent = !surely_unsent(error);
    if (away) failed(place);
    const bool again = away && (kind == Kind::kRead || !sent);
    if (!again || stop.stop_requested() || loop.now() + pause >= end) co_return explain(error, kind, sent);
    if (tries % channels_.size() != 0) continue;  // others first
    if (!co_await sleep_for(pause, stop)) co_return explain(error, kind, sent);
    pause = std::min(pause * 2, kLongestPause);
  }
}

}  // namespace lab::store::etcd
