// /scale: autoscaling/v1 Scale seen over spec.replicas of a workload.
#include "orchestrator/api/codec.h"
#include "orchestrator/api/selector.h"
#include "orchestrator/apiserver/resources.h"
#include "orchestrator/apiserver/status.h"

namespace lab::apiserver {
namespace {

constexpr std::string_view kScaleType = "k8s.io.api.autoscaling.v1.Scale";

std::string selector_text(const json::Value& object) {
  const auto& selector = json::at(object, "spec", "selector");
  if (json::has(selector, "matchLabels") || json::has(selector, "matchExpressions")) {
    auto parsed = api::LabelSelector::from_object(selector);
    return parsed ? parsed->text() : std::string();
  }
  return selector.is_object() ? api::LabelSelector::from_map(selector.get_object()).text() : std::string();
}

json::Value scale_of(const json::Value& object) {
  json::Object metadata;
  for (auto key : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"})
    if (json::has(object, "metadata", key)) metadata[key] = json::at(object, "metadata", key);
  return json::Object{{"kind", "Scale"},
                      {"apiVersion", "autoscaling/v1"},
                      {"metadata", std::move(metadata)},
                      {"spec", json::Object{{"replicas", json::num(object, "spec", "replicas")}}},
                      {"status", json::Object{{"replicas", json::num(object, "status", "replicas")},
                                              {"selector", selector_text(object)}}}};
}

// Takes what a Scale says over into the workload.
Result<json::Value> with_scale(json::Value object, const json::Value& scale) {
  if (auto rv = json::str(scale, "metadata", "resourceVersion"); !rv.empty())
    json::set(object, rv, "metadata", "resourceVersion");
  auto replicas = json::num(scale, "spec", "replicas");
  if (replicas < 0)
    return Failure(bad_request("Scale.autoscaling \"" + std::string(json::str(object, "metadata", "name")) +
                               "\" is invalid: spec.replicas: Invalid value: " + std::to_string(replicas) +
                               ": must be greater than or equal to 0"));
  json::set(object, replicas, "spec", "replicas");
  return object;
}

}  // namespace

Task<Reply> Resources::scale(RequestContext& request, Target target) {
  LAB_CO_TRY(auto accepted, negotiate(request.request, request.query, true));
  accepted.shape = Shape::kObject;
  const auto& verb = request.info.verb;
  if (verb == "get") {
    auto object = registry_.cache().find(*target.storage, target.ns, target.name);
    if (!object) co_return Failure(not_found(*target.kind, target.name));
    LAB_CO_TRY(auto answer, answer_plain(accepted, scale_of(*object->value()), 200));
    co_return answer;
  }
  if (verb != "update" && verb != "patch") co_return Failure(method_not_supported(request.request.method));
  LAB_CO_TRY(auto options, write_options(request));
  options.field_validation = FieldValidation::kIgnore;
  options.shown_as = ShownAs{{"autoscaling", "v1", "Scale"}, scale_of, with_scale};
  Registry::Transform change;
  if (verb == "update") {
    LAB_CO_TRY(auto body, decode_request_body(request));
    if (const auto* type = api::find_type(kScaleType)) {
      LAB_CO_CHECK(api::normalize(*type, body));
    }
    change = [body = std::move(body)](const json::Value& current) { return with_scale(current, body); };
  } else {
    api::Kind scale_kind;
    scale_kind.schema = kScaleType;
    LAB_CO_TRY(auto patch, patch_transform(scale_kind, request));
    change = [patch = std::move(patch)](const json::Value& current) -> Result<json::Value> {
      LAB_TRY(auto scale, patch(scale_of(current)));
      return with_scale(current, scale);
    };
  }
  auto written = co_await registry_.update(target.kind, target.ns, target.name, std::move(change), std::move(options));
  if (!written) co_return std::unexpected(std::move(written).error());
  LAB_CO_TRY(auto answer,
             answer_plain(accepted, scale_of(written->object ? *written->object->value() : written->value), 200));
  co_return answer;
}

}  // namespace lab::apiserver
