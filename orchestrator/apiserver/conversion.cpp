#include "orchestrator/apiserver/conversion.h"

#include "base/crypto/digest.h"
#include "orchestrator/apiserver/custom_kind.h"
#include "orchestrator/apiserver/webhooks/client_config.h"

namespace lab::apiserver {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(30);  // as kube-apiserver gives conversion webhooks

Failure failed(const api::Kind& from, std::string why) {
  return fail(Code::kInternal,
              "conversion webhook for " + from.api_version() + ", Kind=" + from.kind + " failed: " + std::move(why));
}

json::Value make_review(const CustomKind& to, const std::string& uid, const json::Array& objects) {
  return json::Object{
      {"kind", "ConversionReview"},
      {"apiVersion", "apiextensions.k8s.io/" + to.review_version},
      {"request", json::Object{{"uid", uid}, {"desiredAPIVersion", to.api_version()}, {"objects", objects}}}};
}

// What a webhook may change of an object's metadata are its labels and annotations.
Result<json::Value> accept(const api::Kind& to, const json::Value& original, json::Value converted, std::size_t index) {
  const auto at = "invalid converted object at index " + std::to_string(index) + ": ";
  if (json::str(converted, "apiVersion") != to.api_version())
    return fail(Code::kInternal, at + "invalid groupVersion (expected " + to.api_version() + ", received " +
                                     std::string(json::str(converted, "apiVersion")) + ")");
  if (json::str(converted, "kind") != to.kind)
    return fail(Code::kInternal, at + "invalid kind (expected " + to.kind + ", received " +
                                     std::string(json::str(converted, "kind")) + ")");
  for (auto field : {"name", "namespace", "uid"})
    if (json::str(original, "metadata", field) != json::str(converted, "metadata", field))
      return fail(Code::kInternal, at + "must have the same " + field + ": " +
                                       std::string(json::str(original, "metadata", field)) +
                                       " != " + std::string(json::str(converted, "metadata", field)));
  json::Value metadata = json::at(original, "metadata");
  for (auto field : {"labels", "annotations"}) {
    json::erase(metadata, field);
    if (const auto& given = json::at(converted, "metadata", field); given.is_object())
      json::set(metadata, given, field);
  }
  json::set(converted, std::move(metadata), "metadata");
  return converted;
}

Result<json::Array> read_review(const CustomKind& to, const json::Value& review, std::string_view uid,
                                const json::Array& originals) {
  const auto& response = json::at(review, "response");
  if (!response.is_object()) return fail(Code::kInternal, "webhook response was absent");
  if (auto given = json::str(response, "uid"); given != uid && to.review_version == "v1")
    return fail(Code::kInternal,
                "expected response.uid=\"" + std::string(uid) + "\", got \"" + std::string(given) + "\"");
  if (auto status = json::str(response, "result", "status"); status != "Success") {
    auto message = json::str(response, "result", "message");
    return fail(Code::kInternal, !message.empty() ? std::string(message)
                                 : status.empty()
                                     ? "response.result.status was not set"
                                     : "response.result.status was '" + std::string(status) + "', not 'Success'");
  }
  const auto& converted = json::list(response, "convertedObjects");
  if (converted.size() != originals.size())
    return fail(Code::kInternal, "webhook returned " + std::to_string(converted.size()) + " objects, expected " +
                                     std::to_string(originals.size()));
  json::Array out;
  for (std::size_t i = 0; i < converted.size(); ++i) {
    LAB_TRY(auto one, accept(to, originals[i], converted[i], i));
    out.push_back(std::move(one));
  }
  return out;
}

Task<Result<json::Array>> ask(const ObjectReader& reader, std::shared_ptr<const CustomKind> to, json::Array objects) {
  const auto uid = crypto::random_uuid();
  api::Kind from = *to;
  auto version = json::str(objects[0], "apiVersion");
  from.version = version.substr(version.find('/') + 1);
  auto answer = co_await webhooks::post(reader, to->conversion, json::dump(make_review(*to, uid, objects)), kTimeout);
  if (!answer) co_return failed(from, answer.error().text());
  auto converted = read_review(*to, *answer, uid, objects);
  if (!converted) co_return failed(from, converted.error().message);
  co_return converted;
}

}  // namespace

bool Conversion::varies(const api::Kind& kind) {
  const auto* custom = as_custom(kind);
  return custom && custom->versions > 1;
}

Task<Result<json::Array>> Conversion::convert(api::KindPtr to, json::Array objects) const {
  const auto* custom = as_custom(*to);
  json::Array asked;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    auto& object = objects[i];
    const auto version = json::str(object, "apiVersion");
    if (version == to->api_version()) continue;
    if (custom && custom->conversion) {
      places.push_back(i);
      asked.push_back(std::move(object));
      continue;
    }
    const auto slash = version.find('/');
    const auto group = slash == std::string_view::npos ? std::string_view{} : version.substr(0, slash);
    const auto name = slash == std::string_view::npos ? version : version.substr(slash + 1);
    if (auto from = kinds_.snapshot()->find(group, name, to->plural)) {
      convert_version(*from, *to, object);
    } else {
      json::set(object, to->api_version(), "apiVersion");  // a version that is served no longer
    }
  }
  if (!places.empty()) {
    auto shared = std::static_pointer_cast<const CustomKind>(to);
    LAB_CO_TRY(auto converted, co_await ask(reader_, shared, std::move(asked)));
    for (std::size_t i = 0; i < places.size(); ++i) {
      default_custom(custom->object_schema, converted[i]);
      objects[places[i]] = std::move(converted[i]);
    }
  }
  co_return std::move(objects);
}

Task<Result<json::Value>> Conversion::convert_one(api::KindPtr to, json::Value object) const {
  if (json::str(object, "apiVersion") == to->api_version()) co_return std::move(object);
  json::Array one;
  one.push_back(std::move(object));
  LAB_CO_TRY(auto converted, co_await convert(std::move(to), std::move(one)));
  co_return std::move(converted[0]);
}

Task<Result<std::vector<CachedPtr>>> Conversion::convert_stored(api::KindPtr to, std::vector<CachedPtr> objects) const {
  const auto wanted = to->api_version();
  json::Array others;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    if (objects[i]->api_version() == wanted) continue;
    places.push_back(i);
    others.push_back(objects[i]->copy());
  }
  if (places.empty()) co_return std::move(objects);
  LAB_CO_TRY(auto converted, co_await convert(to, std::move(others)));
  for (std::size_t i = 0; i < places.size(); ++i) {
    auto& object = objects[places[i]];
    auto rest = to->namespaced ? object->ns() + "/" + object->name() : object->name();
    object = std::make_shared<CachedObject>(rest, encode_stored(converted[i]), object->revision(),
                                            object->create_revision(), object->meta());
  }
  co_return std::move(objects);
}

}  // namespace lab::apiserver
