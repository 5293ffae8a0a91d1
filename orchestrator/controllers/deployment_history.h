// Revisions of a Deployment: which ReplicaSet is the new one, what annotations it carries. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/client/informer.h"

namespace lab::controllers {

inline constexpr const char* kRevision = "deployment.kubernetes.io/revision";
inline constexpr const char* kRevisionHistory = "deployment.kubernetes.io/revision-history";
inline constexpr const char* kDesiredReplicas = "deployment.kubernetes.io/desired-replicas";
inline constexpr const char* kMaxReplicas = "deployment.kubernetes.io/max-replicas";
inline constexpr const char* kTemplateHash = "pod-template-hash";

// Whether two pod templates are the same but for the pod-template-hash label.
bool same_template(const json::Value& a, const json::Value& b);
// The oldest ReplicaSet with the Deployment's template; null when there is none.
client::ObjectPtr find_new_set(const json::Value& deployment, const std::vector<client::ObjectPtr>& sets);
std::int64_t revision_of_set(const json::Value& object);  // of the annotation; 0 when absent
std::int64_t highest_revision(const std::vector<client::ObjectPtr>& sets);

// Gives the new ReplicaSet the Deployment's annotations and its revision; says whether anything changed.
bool annotate_new_set(const json::Value& deployment, json::Value& set, std::int64_t revision);
bool annotate_sizes(json::Value& set, std::int64_t desired, std::int64_t max);

// A ReplicaSet for the Deployment's template, without size and annotations.
json::Value make_set(const json::Value& deployment);
// Oldest first, by creation and then name.
void sort_by_age(std::vector<client::ObjectPtr>& objects);

}  // namespace lab::controllers
