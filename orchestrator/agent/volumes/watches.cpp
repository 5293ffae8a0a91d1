#include "orchestrator/agent/volumes/watches.h"

#include "orchestrator/client/informer.h"

namespace lab::agent {

void ObjectWatches::start(Scope& scope, News news) {
  scope_ = &scope;
  news_ = std::move(news);
}

void ObjectWatches::follow(const std::string& uid, const std::string& ns, const std::vector<ObjectRef>& refs) {
  if (!client_ || !scope_) return;
  std::set<Key> wanted;
  for (const auto& ref : refs) wanted.emplace(ref.kind, ns, ref.name);
  auto before = std::exchange(by_pod_[uid], wanted);
  if (wanted.empty()) by_pod_.erase(uid);
  for (const auto& key : before) {
    if (!wanted.contains(key)) leave(key, uid);
  }
  for (const auto& key : wanted) {
    auto& watch = watches_[key];
    bool fresh = !watch;
    if (fresh) watch = std::make_shared<Watch>();
    watch->pods.insert(uid);
    if (fresh) scope_->spawn("watch " + std::get<1>(key) + "/" + std::get<2>(key), run(key, watch, scope_->token()));
  }
}

void ObjectWatches::leave(const Key& key, const std::string& uid) {
  auto at = watches_.find(key);
  if (at == watches_.end()) return;
  auto watch = at->second;
  watch->pods.erase(uid);
  if (!watch->pods.empty()) return;
  // Whoever follows the object next gets a watch of its own: this one is on its way out.
  watches_.erase(at);
  watch->left.notify();
}

Task<void> ObjectWatches::run(Key key, std::shared_ptr<Watch> watch, std::stop_token stop) {
  auto [kind, ns, name] = key;
  ObjectRef ref{kind, name};
  Scope scope(*Loop::current());
  bool immutable = false;
  client::Informer informer(*client_, kind == ObjectRef::kConfigMap ? client::res::configmaps : client::res::secrets,
                            {.field_selector = "metadata.name=" + name}, ns);
  informer.on_change([&](const ObjectPtr&, const ObjectPtr& now) {
    // What is gone stays in the files, as with a kubelet.
    if (!now) return;
    auto pods = watch->pods;
    news_(ref, ns, now, pods);
    immutable = json::flag(*now, "immutable");
    if (immutable) watch->left.notify();
  });
  informer.start(scope);
  while (!stop.stop_requested() && !watch->pods.empty() && !immutable) co_await watch->left.wait(stop);
  co_await scope.close();
}

}  // namespace lab::agent
