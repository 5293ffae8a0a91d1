// Validation, split by groups. Every validator reads a defaulted object and adds what is wrong; `old` is null on
// create.
#pragma once

#include "orchestrator/api/defaults.h"
#include "orchestrator/api/findings.h"

namespace lab::api {

struct Change {
  const Kind& kind;
  const json::Value* old;  // null: a new object
  const json::Value& object;
  std::string_view subresource;  // of an update
};

using Validator = void (*)(const Change& change, Findings& out);
Validator core_validator(std::string_view kind);
Validator workload_validator(std::string_view group, std::string_view kind);
Validator policy_validator(std::string_view group, std::string_view kind);

// Shared parts.
void validate_metadata(const Change& change, Findings& out);
void validate_labels(const FieldPath& at, const json::Value& labels, Findings& out);
void validate_label_selector(const FieldPath& at, const json::Value& selector, Findings& out);
// A PodSpec, in a Pod or in a template.
void validate_pod_spec(const FieldPath& at, const json::Value& spec, Findings& out);
// Of a container, or (of_claim) of a PersistentVolumeClaim, where "storage" is the usual one.
void validate_resources(const FieldPath& at, const json::Value& resources, Findings& out, bool of_claim = false);
void validate_pod_update(const Change& change, Findings& out);
// Reports a changed field as immutable.
void validate_unchanged(const Change& change, std::initializer_list<std::string_view> path, Findings& out);
// What extends the API: webhook configurations, APIServices, and the `conversion` of a CustomResourceDefinition.
void validate_webhook_configuration(const Change& change, Findings& out);
void validate_api_service(const Change& change, Findings& out);
void validate_conversion(const FieldPath& at, const json::Value& conversion, Findings& out);
// "5" or "25%": a count or a percentage that is not negative.
void validate_count_or_percent(const FieldPath& at, const json::Value& value, Findings& out);

}  // namespace lab::api
