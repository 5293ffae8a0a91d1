#include "labs/compose/logs.h"

#include <algorithm>
#include <future>
#include <set>
#include <sstream>

#include "labs/compose/objects.h"
#include "orchestrator/client/informer.h"

namespace lab::compose {

struct LogFollower::Impl {
  std::string project;
  std::vector<std::string> services;  // empty: all
  Line line;
  LoopThread thread{"logs"};
  std::unique_ptr<client::Client> client;
  std::unique_ptr<Scope> scope;
  std::unique_ptr<client::Informer> pods;
  std::set<std::string> followed;  // "pod uid/restarts": a container that starts again has a log of its own

  void look_at(const client::ObjectPtr& pod);
  Task<void> follow(std::string pod, std::string container, std::string service, std::stop_token stop);
};

void LogFollower::Impl::look_at(const client::ObjectPtr& pod) {
  if (!pod) return;
  const std::string service(json::str(*pod, "metadata", "labels", kServiceLabel));
  if (!services.empty() && std::ranges::find(services, service) == services.end()) return;
  for (const auto& status : json::list(*pod, "status", "containerStatuses")) {
    if (!json::has(status, "state", "running") && !json::has(status, "state", "terminated")) continue;
    const std::string key =
        std::string(json::str(*pod, "metadata", "uid")) + "/" + std::to_string(json::num(status, "restartCount"));
    if (!followed.insert(key).second) continue;
    scope->spawn("log", follow(std::string(json::str(*pod, "metadata", "name")), std::string(json::str(status, "name")),
                               service, scope->token()));
  }
}

Task<void> LogFollower::Impl::follow(std::string pod, std::string container, std::string service,
                                     std::stop_token stop) {
  http::Request request;
  request.target = client::path_of(client::res::pods, project, pod, "log") + "?follow=true&container=" + container;
  auto opened = co_await client->transport().open(std::move(request));
  if (!opened) co_return;
  if ((*opened)->status() != 200) co_return;
  std::stop_callback on_stop(stop, [stream = opened->get()] { stream->close(); });
  std::string rest;
  while (!stop.stop_requested()) {
    auto piece = co_await (*opened)->read();
    if (!piece || piece->empty()) break;
    rest += *piece;
    for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
      line(service, rest.substr(0, end));
      rest.erase(0, end + 1);
    }
  }
  if (!rest.empty()) line(service, rest);
}

LogFollower::LogFollower(client::RestConfig config, std::string project, std::vector<std::string> services, Line line)
    : impl_(std::make_unique<Impl>()) {
  impl_->project = std::move(project);
  impl_->services = std::move(services);
  impl_->line = std::move(line);
  std::promise<void> made;
  impl_->thread.loop().post([&] {
    impl_->client = std::make_unique<client::Client>(client::make_https_transport(std::move(config)));
    impl_->scope = std::make_unique<Scope>(impl_->thread.loop());
    client::ListOptions options;
    options.label_selector = std::string(kProjectLabel) + "=" + impl_->project;
    impl_->pods = std::make_unique<client::Informer>(*impl_->client, client::res::pods, options, impl_->project);
    impl_->pods->on_change(
        [impl = impl_.get()](const client::ObjectPtr&, const client::ObjectPtr& now) { impl->look_at(now); });
    impl_->pods->start(*impl_->scope);
    made.set_value();
  });
  made.get_future().wait();
}

LogFollower::~LogFollower() {
  // What lives on the loop ends there, after its tasks have.
  std::promise<void> gone;
  Scope closing(impl_->thread.loop());
  closing.spawn("close", [&]() -> Task<void> {
    co_await impl_->scope->close();
    impl_->pods.reset();
    impl_->scope.reset();
    impl_->client.reset();
    Loop::current()->post([&] { gone.set_value(); });
  });
  gone.get_future().wait();
}

Result<void> print_logs(bootstrap::Cluster& cluster, const std::string& project,
                        const std::vector<std::string>& services, const LogFollower::Line& line) {
  client::ListOptions options;
  options.label_selector = std::string(kProjectLabel) + "=" + project;
  LAB_TRY(auto pods, cluster.list(client::res::pods, project, options));
  for (const auto& pod : json::list(pods, "items")) {
    const std::string service(json::str(pod, "metadata", "labels", kServiceLabel));
    if (!services.empty() && std::ranges::find(services, service) == services.end()) continue;
    http::Request request;
    request.target = client::path_of(client::res::pods, project, json::str(pod, "metadata", "name"), "log");
    LAB_TRY(auto answer, cluster.raw(std::move(request)));
    if (answer.status != 200) continue;  // its container has not started
    std::istringstream text(answer.text());
    for (std::string one; std::getline(text, one);) line(service, one);
  }
  return {};
}

}  // namespace lab::compose
