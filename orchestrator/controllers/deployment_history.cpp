#include "orchestrator/controllers/deployment_history.h"

#include <algorithm>
#include <charconv>

#include "orchestrator/controllers/objects.h"

namespace lab::controllers {

using client::ObjectPtr;

namespace {

bool is_private_annotation(std::string_view key) {
  for (std::string_view own :
       {std::string_view("kubectl.kubernetes.io/last-applied-configuration"), std::string_view(kRevision),
        std::string_view(kRevisionHistory), std::string_view(kDesiredReplicas), std::string_view(kMaxReplicas),
        std::string_view("deprecated.deployment.rollback.to")})
    if (key == own) return true;
  return false;
}

bool put_annotation(json::Value& object, std::string_view key, const std::string& value) {
  if (annotation_of(object, key) == value) return false;
  json::set(object, value, "metadata", "annotations", key);
  return true;
}

}  // namespace

bool same_template(const json::Value& a, const json::Value& b) {
  if (json::at(a, "spec") != json::at(b, "spec")) return false;
  json::Value left = json::at(a, "metadata"), right = json::at(b, "metadata");
  for (auto* meta : {&left, &right}) {
    json::erase(*meta, "labels", kTemplateHash);
    for (const char* field : {"labels", "annotations"})
      if (json::map(*meta, field).empty()) json::erase(*meta, field);
    json::erase(*meta, "creationTimestamp");
    if (!meta->is_object()) meta->emplace_object();
  }
  return left == right;
}

void sort_by_age(std::vector<ObjectPtr>& objects) {
  std::sort(objects.begin(), objects.end(), [](const ObjectPtr& a, const ObjectPtr& b) {
    auto when_a = created_at(*a), when_b = created_at(*b);
    return when_a != when_b ? when_a < when_b : name_of(*a) < name_of(*b);
  });
}

ObjectPtr find_new_set(const json::Value& deployment, const std::vector<ObjectPtr>& sets) {
  auto sorted = sets;
  sort_by_age(sorted);
  for (const auto& set : sorted)
    if (same_template(json::at(*set, "spec", "template"), json::at(deployment, "spec", "template"))) return set;
  return nullptr;
}

std::int64_t revision_of_set(const json::Value& object) {
  auto text = annotation_of(object, kRevision);
  std::int64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

std::int64_t highest_revision(const std::vector<ObjectPtr>& sets) {
  std::int64_t highest = 0;
  for (const auto& set : sets) highest = std::max(highest, revision_of_set(*set));
  return highest;
}

bool annotate_new_set(const json::Value& deployment, json::Value& set, std::int64_t revision) {
  bool changed = false;
  for (const auto& annotation : json::map(deployment, "metadata", "annotations"))
    if (!is_private_annotation(annotation.key()))
      changed |= put_annotation(set, annotation.key(), std::string(json::as_str(annotation.value())));
  std::int64_t old = revision_of_set(set);
  if (old >= revision) return changed;
  put_annotation(set, kRevision, std::to_string(revision));
  if (old > 0) {
    // A set that becomes the new one again (a rollback) remembers the revisions it has been.
    std::string history(annotation_of(set, kRevisionHistory));
    if (history.size() > 2000) history.erase(0, history.find(',', history.size() - 1000) + 1);
    put_annotation(set, kRevisionHistory, history.empty() ? std::to_string(old) : history + "," + std::to_string(old));
  }
  return true;
}

bool annotate_sizes(json::Value& set, std::int64_t desired, std::int64_t max) {
  bool changed = put_annotation(set, kDesiredReplicas, std::to_string(desired));
  return put_annotation(set, kMaxReplicas, std::to_string(max)) || changed;
}

json::Value make_set(const json::Value& deployment) {
  const auto& pod_template = json::at(deployment, "spec", "template");
  std::string hash = template_hash(pod_template, json::num(deployment, "status", "collisionCount"));
  json::Value set;
  json::set(set, "apps/v1", "apiVersion");
  json::set(set, "ReplicaSet", "kind");
  json::set(set, name_of(deployment) + "-" + hash, "metadata", "name");
  json::set(set, ns_of(deployment), "metadata", "namespace");
  json::set(set, json::at(pod_template, "metadata", "labels"), "metadata", "labels");
  json::set(set, hash, "metadata", "labels", kTemplateHash);
  json::set(set, json::Array{controller_ref(client::res::deployments, deployment)}, "metadata", "ownerReferences");
  if (auto seconds = json::num(deployment, "spec", "minReadySeconds"); seconds > 0)
    json::set(set, seconds, "spec", "minReadySeconds");
  json::set(set, json::at(deployment, "spec", "selector"), "spec", "selector");
  json::set(set, hash, "spec", "selector", "matchLabels", kTemplateHash);
  json::set(set, pod_template, "spec", "template");
  json::set(set, hash, "spec", "template", "metadata", "labels", kTemplateHash);
  return set;
}

}  // namespace lab::controllers
