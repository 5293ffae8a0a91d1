#include "cluster.h"

#include <stdlib.h>

#include "base/fs.h"
#include "orchestrator/api/time.h"
#include "orchestrator/controllers/node_fit.h"
#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;
namespace res = client::res;

json::Value parse(const std::string& text) {
  auto value = json::parse(text);
  if (!value) ADD_FAILURE() << value.error().text() << "\n" << text;
  return value ? std::move(*value) : json::Value();
}

json::Value deployment(const std::string& name, int replicas, const std::string& image, const std::string& extra) {
  return parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":")" + name +
               R"("},"spec":{"replicas":)" + std::to_string(replicas) + R"(,"selector":{"matchLabels":{"app":")" +
               name + R"("}},)" + extra + R"("template":{"metadata":{"labels":{"app":")" + name +
               R"("}},"spec":{"containers":[{"name":"c","image":")" + image +
               R"(","ports":[{"name":"http","containerPort":8080}]}]}}}})");
}

Nodes::Nodes(client::Client& client, Loop& loop) : client_(client), pods_(client, res::pods), queue_(loop) {
  pods_.on_change([this](const ObjectPtr&, const ObjectPtr& now) {
    if (now) queue_.add(client::key_of(*now));
  });
}

void Nodes::start(Scope& scope) {
  pods_.start(scope);
  auto step_one = [this](std::string key) { return step(std::move(key)); };
  scope.spawn("nodes", client::run_workers("nodes", queue_, 32, step_one, scope.token()));
}

Task<Result<void>> Nodes::step(std::string key) {
  ObjectPtr pod = pods_.get(key);
  if (!pod || stopped) co_return Result<void>();
  auto [ns, name] = client::split_key(key);
  if (is_terminating(*pod)) {
    // Held by a finalizer: what the agent had to do is done.
    if (json::num(*pod, "metadata", "deletionGracePeriodSeconds") == 0) co_return Result<void>();
    client::DeleteOptions now;
    now.grace_seconds = 0;
    now.uid = uid_of(*pod);
    (void)co_await client_.remove(res::pods, ns, name, now);
    co_return Result<void>();
  }
  if (json::str(*pod, "spec", "nodeName").empty()) {
    if (names.empty()) co_return Result<void>();
    std::string node = target_node(*pod);
    if (node.empty()) node = names[static_cast<std::size_t>(next_node_++) % names.size()];
    json::Value binding =
        json::Object{{"apiVersion", "v1"},
                     {"kind", "Binding"},
                     {"metadata", json::Object{{"name", name}, {"namespace", ns}}},
                     {"target", json::Object{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", node}}}};
    (void)co_await client_.create_sub(res::pods, ns, name, "binding", std::move(binding));
    co_return Result<void>();
  }
  if (json::str(*pod, "status", "phase") != "Pending") co_return Result<void>();
  std::string end = fate(*pod), now = api::format_time(Loop::current()->wall());
  json::Value next = *pod;
  json::set(next, end == "Unready" ? "Running" : end, "status", "phase");
  json::set(next,
            json::Array{json::Object{
                {"type", "Ready"}, {"status", end == "Running" ? "True" : "False"}, {"lastTransitionTime", now}}},
            "status", "conditions");
  std::string ip = "10.244.0." + std::to_string(next_address_++ % 250 + 1);
  json::set(next, ip, "status", "podIP");
  json::set(next, json::Array{json::Object{{"ip", ip}}}, "status", "podIPs");
  auto written = co_await client_.update_status(res::pods, ns, std::move(next));
  if (!written && written.error().code == Code::kConflict) co_return std::unexpected(std::move(written).error());
  co_return Result<void>();
}

ControllersTest::ControllersTest() {
  std::string pattern = testing::TempDir() + "controllers-XXXXXX";
  directory_ = ::mkdtemp(pattern.data());
  auto store = store::open_embedded({.path = directory_ + "/db"});
  if (!store) throw std::runtime_error(store.error().text());
  store_ = std::move(*store);
  apiserver::ServerOptions server_options;
  server_options.store = store_.get();
  server_options.authorization = false;
  auto server = apiserver::ApiServer::start(server_options);
  if (!server) throw std::runtime_error(server.error().text());
  server_ = std::move(*server);
  auto ready = server_->wait_ready(std::chrono::seconds(60));
  if (!ready) throw std::runtime_error(ready.error().text());
}

ControllersTest::~ControllersTest() {
  server_.reset();
  store_.reset();
  (void)fs::remove_all(directory_);
}

void ControllersTest::run(std::function<Task<void>()> body) {
  auto main = [](ControllersTest& t, std::function<Task<void>()> inner) -> Task<void> {
    Loop& loop = *Loop::current();
    apiserver::Identity admin{"admin", "", {"system:masters"}, {}};
    t.client_ = std::make_unique<client::Client>(t.server_->in_process(admin, loop));
    t.nodes_ = std::make_unique<Nodes>(*t.client_, loop);
    auto manager = ControllerManager::make(*t.client_, t.options);
    EXPECT_TRUE(manager) << manager.error().text();
    if (manager) {
      t.manager_ = std::move(*manager);
      Scope scope(loop);
      t.manager_->start(scope);
      t.nodes_->start(scope);
      // Without its ServiceAccount a namespace takes no pods.
      auto usable = [&t]() -> Task<bool> {
        co_return !(co_await t.get(res::serviceaccounts, "default", "default")).is_null();
      };
      EXPECT_TRUE(co_await t.until(usable));
      co_await inner();
      co_await scope.close();
    }
    t.manager_.reset();
    t.nodes_.reset();
    t.client_.reset();
  };
  run_task(main(*this, std::move(body)));
}

Task<bool> ControllersTest::until(std::function<Task<bool>()> condition) {
  for (int i = 0; i < 3000; ++i) {
    if (co_await condition()) co_return true;
    co_await sleep_for(std::chrono::milliseconds(20));
  }
  co_return false;
}

Task<json::Value> ControllersTest::get(client::Resource r, std::string ns, std::string name) {
  auto got = co_await client_->get(r, ns, name);
  if (got) co_return std::move(*got);
  EXPECT_EQ(got.error().code, Code::kNotFound) << got.error().text();
  co_return json::Value();
}

Task<std::vector<json::Value>> ControllersTest::list(client::Resource r, std::string ns, std::string label_selector) {
  client::ListOptions list_options;
  list_options.label_selector = label_selector;
  auto got = co_await client_->list(r, ns, list_options);
  std::vector<json::Value> out;
  EXPECT_TRUE(got) << got.error().text();
  if (got)
    for (const auto& item : json::list(*got, "items")) out.push_back(item);
  co_return out;
}

Task<json::Value> ControllersTest::create(client::Resource r, std::string ns, json::Value object) {
  auto made = co_await client_->create(r, ns, std::move(object));
  EXPECT_TRUE(made) << made.error().text();
  co_return made ? std::move(*made) : json::Value();
}

Task<void> ControllersTest::patch(client::Resource r, std::string ns, std::string name, std::string merge_patch) {
  auto done = co_await client_->patch(r, ns, name, client::PatchType::kMerge, parse(merge_patch));
  EXPECT_TRUE(done) << done.error().text();
}

Task<bool> ControllersTest::until_gone(client::Resource r, std::string ns, std::string name) {
  auto gone = [&]() -> Task<bool> { co_return (co_await get(r, ns, name)).is_null(); };
  co_return co_await until(gone);
}

Task<bool> ControllersTest::until_status(client::Resource r, std::string name, std::string field, std::int64_t value) {
  auto holds = [&]() -> Task<bool> {
    json::Value object = co_await get(r, "default", name);
    co_return json::num(object, "status", field) == value&& json::num(object, "status", "observedGeneration") ==
        json::num(object, "metadata", "generation");
  };
  bool done = co_await until(holds);
  if (!done) ADD_FAILURE() << json::dump(json::at(co_await get(r, "default", name), "status"));
  co_return done;
}

Task<void> ControllersTest::add_node(std::string name, std::string labels) {
  co_await create(
      res::nodes, "",
      parse(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":")" + name + R"(","labels":)" + labels + "}}"));
  // The controllers write to it as well: agents try again after a conflict, too.
  auto report = [this, name]() -> Task<bool> {
    json::Value node = co_await get(res::nodes, "", name);
    std::string now = api::format_time(Loop::current()->wall());
    json::set(node,
              json::Array{json::Object{{"type", "Ready"},
                                       {"status", "True"},
                                       {"reason", "KubeletReady"},
                                       {"lastHeartbeatTime", now},
                                       {"lastTransitionTime", now}}},
              "status", "conditions");
    co_return (co_await client_->update_status(res::nodes, "", std::move(node))).has_value();
  };
  EXPECT_TRUE(co_await until(report));
}

Task<void> ControllersTest::ensure_namespace(std::string name) {
  auto there = co_await get(res::namespaces, "", name);
  if (there.is_null())
    co_await create(
        res::namespaces, "",
        json::Object{{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", json::Object{{"name", name}}}});
}

}  // namespace lab::controllers
