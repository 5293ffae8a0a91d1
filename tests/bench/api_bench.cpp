// api_bench KUBECONFIG [DIRECTORY]: what a Kubernetes API server does in a second, beside what its machine can do.
//
// Any API server may be measured: lab's, or another one for comparison. The machine's two figures of the same run are
// the yardstick: syncs of DIRECTORY per second (nothing durable is faster, but writers share syncs) and requests per
// second of a bare TLS server that answers 1.5 KB, asked by the same client. Everything is made in a namespace of its
// own, which is deleted at the end.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "base/http/server.h"
#include "base/io/scope.h"
#include "orchestrator/client/client.h"
#include "tests/unit/base/io/test_certs.h"

namespace lab {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) {
  return std::chrono::duration<double>(Clock::now() - t).count();
}

struct Figures {
  long done = 0, failed = 0;
  double seconds = 0;
  std::vector<double> ms;
  std::string why;  // the first failure

  double rate() const { return static_cast<double>(done) / std::max(seconds, 1e-9); }
  double quantile(double q) {
    if (ms.empty()) return 0;
    std::ranges::sort(ms);
    return ms[std::min(ms.size() - 1, static_cast<std::size_t>(q * static_cast<double>(ms.size())))];
  }
};

using Call = std::function<Task<Result<void>>(int)>;

Task<void> worker(const Call& call, int count, int& next, Figures& figures) {
  while (next < count) {
    int i = next++;
    auto start = Clock::now();
    auto done = co_await call(i);
    figures.ms.push_back(seconds_since(start) * 1000);
    if (done) {
      ++figures.done;
    } else if (figures.failed++ == 0) {
      figures.why = done.error().text();
    }
  }
}

// `count` calls, `in_flight` of them at once.
Task<Figures> load(int count, int in_flight, Call call) {
  Figures figures;
  int next = 0;
  auto start = Clock::now();
  {
    Scope scope(*Loop::current());
    for (int i = 0; i < in_flight; ++i) scope.start("load", worker(call, count, next, figures));
    co_await scope.close();
  }
  figures.seconds = seconds_since(start);
  co_return figures;
}

double syncs_per_second(const std::string& directory) {
  std::string path = directory + "/api-bench-" + std::to_string(::getpid());
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return 0;
  std::string page(4096, 'x');
  auto start = Clock::now();
  long n = 0;
  for (; seconds_since(start) < 1; ++n)
    if (::write(fd, page.data(), page.size()) < 0 || ::fdatasync(fd) != 0) break;
  double took = seconds_since(start);
  ::close(fd);
  ::unlink(path.c_str());
  return static_cast<double>(n) / took;
}

Task<void> answer_pod(http::Request, http::ResponseWriter& writer) {
  static const http::Buffer kBody = http::buffer(std::string(1500, 'p'));
  (void)co_await writer.send({.headers = {{"Content-Type", "application/json"}}, .body = {kBody}});
}

Task<Result<void>> get_raw(client::Client& client, std::string path) {
  http::Request request;
  request.method = "GET";
  request.target = std::move(path);
  LAB_CO_TRY(auto answer, co_await client.raw(std::move(request)));
  if (answer.status != 200) co_return std::unexpected(client::error_of(answer));
  co_return Result<void>();
}

Task<double> tls_requests_per_second() {
  test::TestCa ca;
  auto leaf = ca.issue({.cn = "bench"});
  http::ServerOptions options{.threads = 1};
  options.tls = [&]() -> Result<TlsServerConfig> {
    return TlsServerConfig{.certificate_chain_pem = leaf.certificate, .private_key_pem = leaf.key};
  };
  auto server = http::Server::start(options, answer_pod);
  if (!server) co_return 0;
  client::Client client(
      client::make_https_transport({.server = "https://127.0.0.1:" + std::to_string((*server)->port()),
                                    .ca_pem = ca.pem(),
                                    .tls_server_name = "localhost"}));
  auto figures = co_await load(20'000, 32, [&](int) { return get_raw(client, "/pod"); });
  co_return figures.failed > 0 ? 0 : figures.rate();
}

json::Value named(std::string_view kind, const std::string& ns, const std::string& name) {
  json::Value object;
  json::set(object, "v1", "apiVersion");
  json::set(object, kind, "kind");
  json::set(object, name, "metadata", "name");
  if (!ns.empty()) json::set(object, ns, "metadata", "namespace");
  return object;
}

json::Value config_map(const std::string& ns, const std::string& name) {
  auto object = named("ConfigMap", ns, name);
  json::set(object, std::string(200, 'v'), "data", "key");
  return object;
}

// Nobody schedules it: it costs the API server alone.
json::Value pod(const std::string& ns, const std::string& name) {
  auto object = named("Pod", ns, name);
  json::set(object, "nobody", "spec", "schedulerName");
  json::set(object, json::Array{json::Value(json::Object{{"name", "main"}, {"image", "busybox"}})}, "spec",
            "containers");
  return object;
}

Result<void> outcome(Result<json::Value> done) {
  if (!done) return std::unexpected(std::move(done).error());
  return {};
}

class Bench {
 public:
  Bench(client::Client& client, double syncs, double tls) : client_(client), syncs_(syncs), tls_(tls) {}

  Task<void> run() {
    if (auto made = co_await client_.create(client::res::namespaces, "", named("Namespace", "", ns_)); !made) {
      std::fprintf(stderr, "%s\n", made.error().text().c_str());
      co_return;
    }
    show("GET /readyz, 32 at once", co_await load(5000, 32, [this](int) { return get_raw(client_, "/readyz"); }), tls_,
         "TLS requests");
    show("create ConfigMap, one at a time", co_await load(300, 1, [this](int i) { return create(i, "one"); }), syncs_,
         "syncs");
    show("create ConfigMap, 32 at once", co_await load(3000, 32, [this](int i) { return create(i, "many"); }), syncs_,
         "syncs");
    show("GET ConfigMap, one at a time", co_await load(2000, 1, [this](int) { return get(); }), tls_, "TLS requests");
    show("GET ConfigMap, 32 at once", co_await load(10'000, 32, [this](int) { return get(); }), tls_, "TLS requests");
    show("merge-patch, 32 at once", co_await load(2000, 32, [this](int i) { return patch(i); }), syncs_, "syncs");
    show("create Pod, 32 at once", co_await load(5000, 32, [this](int i) { return create_pod(i); }), syncs_, "syncs");
    show("LIST 5,000 Pods, JSON", co_await load(10, 1, [this](int) { return list(""); }), tls_, "TLS requests");
    show("LIST 5,000 Pods, Table", co_await load(10, 1, [this](int) { return list(kTable); }), tls_, "TLS requests");
    auto removed = co_await client_.remove(client::res::namespaces, "", ns_);
    if (!removed) std::fprintf(stderr, "%s\n", removed.error().text().c_str());
  }

 private:
  static constexpr const char* kTable = "application/json;as=Table;v=v1;g=meta.k8s.io";

  Task<Result<void>> create(int i, const char* prefix) {
    co_return outcome(
        co_await client_.create(client::res::configmaps, ns_, config_map(ns_, prefix + std::to_string(i))));
  }
  Task<Result<void>> create_pod(int i) {
    co_return outcome(co_await client_.create(client::res::pods, ns_, pod(ns_, "p" + std::to_string(i))));
  }
  Task<Result<void>> get() { co_return outcome(co_await client_.get(client::res::configmaps, ns_, "one0")); }
  Task<Result<void>> patch(int i) {
    json::Value body;
    json::set(body, std::to_string(i), "data", "key");
    co_return outcome(co_await client_.patch(client::res::configmaps, ns_, "many" + std::to_string(i),
                                             client::PatchType::kMerge, std::move(body)));
  }
  Task<Result<void>> list(std::string accept) {
    http::Request request;
    request.method = "GET";
    request.target = client::path_of(client::res::pods, ns_);
    if (!accept.empty()) request.headers.set("Accept", accept);
    LAB_CO_TRY(auto answer, co_await client_.raw(std::move(request)));
    if (answer.status != 200) co_return std::unexpected(client::error_of(answer));
    co_return Result<void>();
  }

  void show(const char* what, Figures figures, double yardstick, const char* unit) {
    std::printf("%-34s %9.0f/s   p50 %7.2f ms   p99 %7.2f ms   %8.4f of the %s\n", what, figures.rate(),
                figures.quantile(0.5), figures.quantile(0.99), figures.rate() / std::max(yardstick, 1.0), unit);
    if (figures.failed > 0) std::printf("  %ld of them failed: %s\n", figures.failed, figures.why.c_str());
    std::fflush(stdout);
  }

  client::Client& client_;
  double syncs_, tls_;
  std::string ns_ = "api-bench-" + std::to_string(::getpid());
};

Task<int> bench(std::string kubeconfig, std::string directory) {
  auto config = client::load_kubeconfig(kubeconfig);
  if (!config) {
    std::fprintf(stderr, "%s\n", config.error().text().c_str());
    co_return 1;
  }
  double syncs = syncs_per_second(directory), tls = co_await tls_requests_per_second();
  std::printf("this machine: %.0f syncs of 4 KiB per second, %.0f TLS requests of 1.5 KB per second\n\n", syncs, tls);
  client::Client client(client::make_https_transport(std::move(*config)));
  co_await Bench(client, syncs, tls).run();
  co_return 0;
}

}  // namespace
}  // namespace lab

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: api_bench KUBECONFIG [DIRECTORY]\n");
    return 2;
  }
  return lab::run_task(lab::bench(argv[1], argc > 2 ? argv[2] : "."));
}
