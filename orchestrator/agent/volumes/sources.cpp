// Where volumes get their objects and tokens: the API server.
#include "orchestrator/agent/volumes/volumes.h"
#include "orchestrator/api/time.h"

namespace lab::agent {

using namespace std::chrono_literals;

namespace {

std::string cache_key(ObjectRef::Kind kind, const std::string& ns, const std::string& name) {
  return (kind == ObjectRef::kConfigMap ? "c/" : "s/") + ns + "/" + name;
}

}  // namespace

bool ObjectFetcher::observe(ObjectRef::Kind kind, const std::string& ns, const std::string& name, ObjectPtr object) {
  auto& known = cache_[cache_key(kind, ns, name)];
  bool news = !known.object || json::at(*known.object, "metadata", "resourceVersion") !=
                                   json::at(*object, "metadata", "resourceVersion");
  known = {std::move(object), Loop::current()->now()};
  return news;
}

Task<Result<FetchedObjects>> ObjectFetcher::fetch(std::string ns, std::vector<ObjectRef> refs, Duration max_age) {
  FetchedObjects out;
  for (const auto& ref : refs) {
    auto slot = std::pair(ref.kind, ref.name);
    if (out.contains(slot)) continue;
    bool config_map = ref.kind == ObjectRef::kConfigMap;
    std::string key = cache_key(ref.kind, ns, ref.name);
    TimePoint now = Loop::current()->now();
    if (auto it = cache_.find(key); it != cache_.end() && now - it->second.at < max_age) {
      out[slot] = it->second.object;
      continue;
    }
    if (!client_) {
      out[slot] = nullptr;
      continue;
    }
    auto got = co_await client_->get(config_map ? client::res::configmaps : client::res::secrets, ns, ref.name);
    if (!got && got.error().code == Code::kNotFound) {
      cache_.erase(key);
      out[slot] = nullptr;
      continue;
    }
    if (!got) co_return std::unexpected(std::move(got).error());
    auto object = std::make_shared<const json::Value>(std::move(*got));
    out[slot] = object;
    if (cache_.size() > 1000) cache_.clear();
    cache_[key] = {object, Loop::current()->now()};
  }
  co_return out;
}

Task<Result<std::string>> TokenSource::token(ObjectPtr pod, TokenRef ref) {
  std::string uid = uid_of(*pod);
  WallTime now = Loop::current()->wall();
  if (auto it = tokens_.find(uid); it != tokens_.end())
    if (auto found = it->second.find(ref); found != it->second.end() && now < found->second.renew_at)
      co_return found->second.token;
  if (!client_) co_return fail(Code::kUnavailable, "service account tokens need an API server");

  json::Value request;
  json::set(request, "authentication.k8s.io/v1", "apiVersion");
  json::set(request, "TokenRequest", "kind");
  json::Array audiences;
  if (!ref.audience.empty()) audiences.emplace_back(ref.audience);
  json::set(request, std::move(audiences), "spec", "audiences");
  json::set(request, ref.expiration_seconds, "spec", "expirationSeconds");
  json::set(request, "v1", "spec", "boundObjectRef", "apiVersion");
  json::set(request, "Pod", "spec", "boundObjectRef", "kind");
  json::set(request, name_of(*pod), "spec", "boundObjectRef", "name");
  json::set(request, uid, "spec", "boundObjectRef", "uid");
  std::string account(json::str(*pod, "spec", "serviceAccountName"));
  if (account.empty()) account = "default";
  auto answer = co_await client_->create_sub(client::res::serviceaccounts, namespace_of(*pod), account, "token",
                                             std::move(request));
  if (!answer) {
    auto error = std::move(answer).error().with_context("failed to fetch token");
    // An old token that is still good serves while the server is away.
    if (auto it = tokens_.find(uid); it != tokens_.end())
      if (auto found = it->second.find(ref); found != it->second.end() && error.code == Code::kUnavailable)
        co_return found->second.token;
    co_return std::unexpected(std::move(error));
  }
  std::string token(json::str(*answer, "status", "token"));
  auto expires = api::parse_time(json::str(*answer, "status", "expirationTimestamp"));
  auto life = expires ? *expires - now : std::chrono::seconds(ref.expiration_seconds);
  auto renew = std::min<WallTime::duration>(std::chrono::duration_cast<WallTime::duration>(life * 8 / 10), 24h);
  tokens_[uid][ref] = {token, now + renew};
  co_return token;
}

void TokenSource::renew_all() {
  for (auto& [uid, of_pod] : tokens_)
    for (auto& [ref, cached] : of_pod) cached.renew_at = {};
}

void TokenSource::forget(const std::string& uid) {
  tokens_.erase(uid);
}

}  // namespace lab::agent
