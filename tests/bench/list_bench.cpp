// list_bench [PODS] [ROUNDS]: how long LIST of many pods takes in each form a client asks for, over loopback HTTP.
//
// Beside the raw figure of the same machine: parsing the answer's JSON once. The medians of ROUNDS lists are printed.
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>
#include <vector>

#include "base/fs.h"
#include "base/http/client.h"
#include "base/io/scope.h"
#include "base/json.h"
#include "orchestrator/apiserver/server.h"

namespace {

using namespace lab;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point t) {
  return std::chrono::duration<double, std::milli>(Clock::now() - t).count();
}

// Of all threads: what tells more than the clock where others use the machine too.
double cpu_ms() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// A running pod of a Deployment, about 2 KB, as the store keeps it.
std::string stored_pod(int n) {
  const std::string id = std::to_string(n), node = "node-" + std::to_string(n % 50);
  return R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"web-)" + id +
         R"(","generateName":"web-7df4cdc5bd-","namespace":"default","uid":"6c1f7c1e-8f3b-4a51-9d3e-0000000)" + id +
         R"(","creationTimestamp":"2026-01-01T00:00:00Z","labels":{"app":"web","pod-template-hash":"7df4cdc5bd"},)"
         R"("ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-7df4cdc5bd","uid":"1",)"
         R"("controller":true,"blockOwnerDeletion":true}]},"spec":{"volumes":[{"name":"kube-api-access-x2x4z",)"
         R"("projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},{"configMap":)"
         R"({"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}}],"defaultMode":420}}],"containers":)"
         R"([{"name":"web","image":"registry.example/web:v1.2.3","ports":[{"containerPort":8080,"protocol":"TCP"}],"env":)"
         R"([{"name":"REDIS","value":"redis:6379"},{"name":"MODE","value":"production"}],"resources":{"limits":{"cpu":)"
         R"("500m","memory":"256Mi"},"requests":{"cpu":"100m","memory":"128Mi"}},"volumeMounts":[{"name":)"
         R"("kube-api-access-x2x4z","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],)"
         R"("terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":)"
         R"("IfNotPresent"}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst",)"
         R"("serviceAccountName":"default","serviceAccount":"default","nodeName":")" +
         node +
         R"(","securityContext":{},"schedulerName":"default-scheduler","enableServiceLinks":true},"status":{"phase":)"
         R"("Running","conditions":[{"type":"Initialized","status":"True","lastTransitionTime":"2026-01-01T00:00:01Z"},)"
         R"({"type":"Ready","status":"True","lastTransitionTime":"2026-01-01T00:00:02Z"},{"type":"ContainersReady",)"
         R"("status":"True","lastTransitionTime":"2026-01-01T00:00:02Z"}],"hostIP":"10.0.0.2","podIP":"10.244.1.7",)"
         R"("podIPs":[{"ip":"10.244.1.7"}],"startTime":"2026-01-01T00:00:00Z","containerStatuses":[{"name":"web",)"
         R"("state":{"running":{"startedAt":"2026-01-01T00:00:02Z"}},"lastState":{},"ready":true,"restartCount":0,)"
         R"("image":"registry.example/web:v1.2.3","imageID":"sha256:1","containerID":"containerd://1","started":true}],)"
         R"("qosClass":"Burstable"}})";
}

void fill(store::Store& store, int pods) {
  for (int at = 0; at < pods;) {
    store::Txn txn;
    for (int i = 0; i < 500 && at < pods; ++i, ++at)
      txn.changes.push_back({.key = "/registry/pods/default/web-" + std::to_string(at),
                             .value = std::make_shared<const std::string>(stored_pod(at))});
    std::promise<Result<store::Committed>> done;
    store.commit(std::move(txn), [&](Result<store::Committed> r) { done.set_value(std::move(r)); });
    if (auto r = done.get_future().get(); !r) std::fprintf(stderr, "%s\n", r.error().text().c_str());
  }
}

Task<std::string> fetch(int port, std::string target, std::string accept) {
  http::Endpoint endpoint;
  endpoint.host = "127.0.0.1";
  endpoint.port = port;
  http::Request request;
  request.method = "GET";
  request.target = std::move(target);
  request.headers.set("Authorization", "Bearer admin-token");
  request.headers.set("Accept", std::move(accept));
  auto client = http::Client::make(std::move(endpoint));
  auto answer = co_await client->send(std::move(request));
  co_return answer && answer->status == 200 ? answer->text() : std::string();
}

}  // namespace

int main(int argc, char** argv) {
  const int pods = argc > 1 ? std::atoi(argv[1]) : 5000, rounds = argc > 2 ? std::atoi(argv[2]) : 15;
  std::string directory = "/tmp/list-bench-XXXXXX";
  if (!::mkdtemp(directory.data())) return 1;
  auto store = store::open_embedded({.path = directory + "/db"});
  if (!store) return 1;
  fill(**store, pods);
  apiserver::ServerOptions options;
  options.store = store->get();
  options.tokens = {{"admin-token", "admin", "", {"system:masters"}}};
  auto server = apiserver::ApiServer::start(options);
  if (!server || !(*server)->wait_ready(std::chrono::seconds(60))) return 1;

  const std::string target = "/api/v1/namespaces/default/pods", on_node = "?fieldSelector=spec.nodeName%3Dnode-7";
  struct Form {
    const char* name;
    std::string target, accept;
  };
  const Form forms[] = {
      {"JSON", target, "application/json"},
      {"Table (kubectl get)", target, "application/json;as=Table;v=v1;g=meta.k8s.io"},
      {"PartialObjectMetadata", target, "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"},
      {"protobuf", target, "application/vnd.kubernetes.protobuf"},
      {"JSON, one node's", target + on_node, "application/json"},
  };
  std::printf("%d pods, median of %d\n%-24s %9s %9s %12s %9s\n", pods, rounds, "form", "ms", "CPU ms", "bytes",
              "x parse");
  double parse = 0;
  for (const auto& form : forms) {
    std::vector<double> took, used;
    std::string body;
    for (int i = 0; i < rounds; ++i) {
      auto begun = Clock::now();
      double before = cpu_ms();
      body = run_task(fetch((*server)->port(), form.target, form.accept));
      took.push_back(ms_since(begun));
      used.push_back(cpu_ms() - before);
    }
    if (parse == 0) {
      double before = cpu_ms();
      if (!json::parse(body)) return 1;
      parse = cpu_ms() - before;
    }
    std::printf("%-24s %9.1f %9.1f %12zu %9.2f\n", form.name, median(took), median(used), body.size(),
                median(used) / parse);
  }
  std::printf("%-24s %9s %9.1f\n", "parsing the JSON list", "", parse);
  server->reset();
  store->reset();
  (void)fs::remove_all(directory);
  return 0;
}
