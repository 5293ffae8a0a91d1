// Field sets in the form of FieldsV1 (structured-merge-diff): {"f:spec":{"f:replicas":{}}}; "k:{...}" is an item of a
// list with keys, "v:..." of a set, "." the thing itself.
//
// Pure functions; `type` null stands for data without a schema, which is atomic below maps.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "orchestrator/api/schema.h"

namespace lab::apiserver::fields {

// The fields that a value sets.
json::Object of(const api::Type* type, const json::Value& value);
// Leaves in which two values differ: set, changed or gone.
json::Object difference(const api::Type* type, const json::Value& before, const json::Value& after);

json::Object unite(json::Object a, const json::Object& b);
json::Object subtract(json::Object a, const json::Object& b);
// Leaves of both sets, as paths people read: ".spec.replicas", `.spec.containers[name="c"].image`.
std::vector<std::string> common(const json::Object& a, const json::Object& b);

// The live value with the applied one merged into it.
json::Value merge(const api::Type* type, json::Value live, const json::Value& applied);
// Takes out of `value` what `gone` names and `kept` does not.
void prune(const api::Type* type, json::Value& value, const json::Object& gone, const json::Object& kept);

}  // namespace lab::apiserver::fields
