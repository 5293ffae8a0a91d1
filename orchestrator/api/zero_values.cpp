// What Go's encoder writes for fields that nobody set.
#include "orchestrator/api/codec.h"

namespace lab::api {

namespace {

void add_to(const Type& type, json::Object& object);

// The zero value of a field as Go writes it; false when Go writes nothing.
bool zero_value(const Field& f, json::Value& out) {
  const bool collection = f.repeated || f.map || f.base == Base::kStringList || f.base == Base::kBytes;
  if (collection || f.pointer) {
    out = nullptr;
    return !f.omit_empty;
  }
  switch (f.base) {  // structs are written even with omitempty
    case Base::kMessage: {
      json::Object object;
      add_to(*f.message, object);
      out = std::move(object);
      return true;
    }
    case Base::kQuantity:
      out = "0";
      return true;
    case Base::kTime:
    case Base::kMicroTime:
    case Base::kRawExtension:
    case Base::kJson:
      out = nullptr;
      return true;
    case Base::kDuration:
      out = "0s";
      return true;
    case Base::kIntOrString:
      out = 0;
      return true;
    case Base::kFieldsV1:
      out = json::Object();
      return true;
    case Base::kString:
      out = "";
      return !f.omit_empty;
    case Base::kBool:
      out = false;
      return !f.omit_empty;
    default:
      out = 0;
      return !f.omit_empty;
  }
}

void add_below(const Field& f, json::Value& value) {
  if (f.base != Base::kMessage) return;
  if (f.repeated) {
    if (auto* list = value.if_array())
      for (auto& item : *list)
        if (auto* object = item.if_object()) add_to(*f.message, *object);
  } else if (f.map) {
    if (auto* map = value.if_object())
      for (auto& [key, item] : *map)
        if (auto* object = item.if_object()) add_to(*f.message, *object);
  } else if (auto* object = value.if_object()) {
    add_to(*f.message, *object);
  }
}

void add_to(const Type& type, json::Object& object) {
  for (const Field& f : type.fields()) {
    if (f.number == 0) continue;
    if (f.inlined) {
      add_to(*f.message, object);
      continue;
    }
    auto* found = object.if_contains(f.name);
    if (found && !found->is_null()) {
      add_below(f, *found);
      continue;
    }
    json::Value zero;
    if (zero_value(f, zero)) object.insert_or_assign(f.name, std::move(zero));
  }
}

}  // namespace

void add_zero_values(const Type& type, json::Value& object) {
  if (object.is_object()) add_to(type, object.get_object());
}

}  // namespace lab::api
