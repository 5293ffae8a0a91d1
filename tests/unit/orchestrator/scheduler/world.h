// A small cluster in memory for the scheduler's tests. Objects are written as JSON text.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "orchestrator/scheduler/algorithm.h"
#include "orchestrator/scheduler/cache.h"
#include "orchestrator/scheduler/preemption.h"

namespace lab::scheduler {

inline client::ObjectPtr parse(std::string_view text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value) << (value ? "" : value.error().text()) << "\n" << text;
  return std::make_shared<const json::Value>(value ? std::move(*value) : json::Value());
}

struct World {
  Cache cache;
  std::map<std::string, client::ObjectPtr> namespaces, claims, volumes, classes;
  std::vector<api::LabelSelector> owners;
  Nominations nominations;
  Algorithm algorithm;
  Surroundings around{
      .namespace_labels = [this](const std::string& ns) -> const json::Object& {
        auto it = namespaces.find(ns);
        return it == namespaces.end() ? json::empty_object() : json::map(*it->second, "metadata", "labels");
      },
      .owner_selectors = [this](const PodInfo&) { return owners; },
      .claim = [this](const std::string& ns, const std::string& name) { return find(claims, ns + "/" + name); },
      .volume = [this](const std::string& name) { return find(volumes, name); },
      .storage_class = [this](const std::string& name) { return find(classes, name); },
      .nodes_with_image = [this](const std::string& image) { return cache.nodes_with_image(image); },
  };

  static client::ObjectPtr find(const std::map<std::string, client::ObjectPtr>& in, const std::string& key) {
    auto it = in.find(key);
    return it == in.end() ? nullptr : it->second;
  }

  // A node of 4 CPUs and 8 GiB for 110 pods; `spec` and `labels` are the members of those objects.
  void node(const std::string& name, const std::string& labels = "", const std::string& spec = "",
            const std::string& cpu = "4", const std::string& memory = "8Gi", const std::string& more_status = "") {
    cache.set_node(parse(R"({"metadata": {"name": ")" + name + R"(", "labels": {"kubernetes.io/hostname": ")" + name +
                         "\"" + (labels.empty() ? "" : ", " + labels) + R"(}}, "spec": {)" + spec +
                         R"(}, "status": {"allocatable": {"cpu": ")" + cpu + R"(", "memory": ")" + memory +
                         R"(", "pods": "110"})" + more_status + "}}"));
  }
  // A pod of namespace default; `spec` and `labels` are members.
  static PodInfoPtr pod(const std::string& name, const std::string& spec = "", const std::string& labels = "",
                        const std::string& ns = "default") {
    return make_pod_info(
        parse(R"({"metadata": {"name": ")" + name + R"(", "namespace": ")" + ns + R"(", "uid": ")" + name +
              R"(-uid", "labels": {)" + labels + R"(}}, "spec": {)" +
              (spec.find("containers") == std::string::npos ? R"("containers": [{"name": "c"}])" : "") +
              (spec.empty() || spec.find("containers") != std::string::npos ? "" : ", ") + spec + "}}"));
  }
  static std::string wants(const std::string& cpu, const std::string& memory = "0") {
    return R"("containers": [{"name": "c", "resources": {"requests": {"cpu": ")" + cpu + R"(", "memory": ")" + memory +
           R"("}}}])";
  }
  void run(PodInfoPtr pod, const std::string& node) { cache.set_pod(on_node(*pod, node)); }

  // The node's name, or the reason.
  std::string place(const PodInfoPtr& pod, bool assume = false) {
    Cycle cycle(*pod, cache.nodes(), around);
    auto placement = algorithm.place(cycle, nominations);
    if (!placement.node) return placement.why.text();
    std::string node = placement.node->name();
    if (assume) cache.assume(on_node(*pod, node));
    return node;
  }
  PreemptionPlan preempt(const PodInfoPtr& pod, const std::vector<Budget>& budgets = {}) {
    Cycle cycle(*pod, cache.nodes(), around);
    auto placement = algorithm.place(cycle, nominations);
    EXPECT_EQ(placement.node, nullptr);
    return plan_preemption(cycle, placement.why, nominations, budgets);
  }
};

}  // namespace lab::scheduler
