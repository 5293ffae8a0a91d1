#include "orchestrator/api/schema.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>

#include "orchestrator/api/schema_data.h"

namespace lab::api {

namespace {

// Rows as tools/schemagen/blob.py writes them; little endian, as the machines we build for.
struct Header {
  std::uint32_t magic, version, types, fields, kinds, strings, unused[2];
};
struct TypeRow {
  std::uint32_t name, doc, first_field;
  std::uint16_t fields, atomic;
};
struct FieldRow {
  std::uint32_t name, go_type, patch_strategy, merge_key, list_type, list_map_keys, default_value, enum_values, doc,
      unused;
  std::uint32_t number;
  std::uint16_t type;
  std::uint8_t base, flags;
};
struct KindRow {
  std::uint32_t api_version, group, version, kind, type;
};
static_assert(sizeof(Header) == 32 && sizeof(TypeRow) == 16 && sizeof(FieldRow) == 48 && sizeof(KindRow) == 20);

constexpr std::string_view kMeta = "k8s.io.apimachinery.pkg.apis.meta.v1.";

struct Tables {
  const Header* header;
  const TypeRow* types;
  const FieldRow* fields;
  const KindRow* kinds;
  const char* strings;

  std::string_view text(std::uint32_t ref) const {
    const auto* p = reinterpret_cast<const unsigned char*>(strings) + ref;
    std::size_t size = 0;
    for (int shift = 0;; shift += 7) {
      size |= std::size_t(*p & 0x7f) << shift;
      if (!(*p++ & 0x80)) break;
    }
    return {reinterpret_cast<const char*>(p), size};
  }
  std::span<const KindRow> kind_rows() const { return {kinds, header->kinds}; }
};

const Tables& tables() {
  static const Tables result = [] {
    Tables t;
    const char* p = schema_data().data();
    t.header = reinterpret_cast<const Header*>(p);
    t.types = reinterpret_cast<const TypeRow*>(p + sizeof(Header));
    t.fields = reinterpret_cast<const FieldRow*>(t.types + t.header->types);
    t.kinds = reinterpret_cast<const KindRow*>(t.fields + t.header->fields);
    t.strings = p + t.header->strings;
    return t;
  }();
  return result;
}

std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    out.push_back(list.substr(0, comma));
    list.remove_prefix(comma == list.npos ? list.size() : comma + 1);
  }
  return out;
}

}  // namespace

struct Type::Detail {
  std::vector<Field> fields;
  std::vector<const Field*> by_json;    // sorted by name; the fields of inlined messages too
  std::vector<const Field*> by_number;  // sorted by number
};

struct SchemaReader {
  static std::span<const Type> types() {
    // Never destroyed: other statics may still look types up while the process ends.
    static const Type* const all = [] {
      const auto& t = tables();
      auto array = std::make_unique<Type[]>(t.header->types);
      for (std::uint32_t i = 0; i < t.header->types; ++i) array[i].name_ = t.text(t.types[i].name);
      return array.release();
    }();
    return {all, tables().header->types};
  }

  static const TypeRow& row(const Type& type) { return tables().types[&type - types().data()]; }

  static Field field(const FieldRow& row) {
    const auto& t = tables();
    enum { kRepeated = 1, kMap = 2, kInlined = 4, kOmitEmpty = 8, kPointer = 16, kRequired = 32 };
    Field f;
    f.name = t.text(row.name);
    f.number = row.number;
    f.base = static_cast<Base>(row.base);
    if (row.type != 0xffff) f.message = &types()[row.type];
    f.repeated = row.flags & kRepeated;
    f.map = row.flags & kMap;
    f.inlined = row.flags & kInlined;
    f.omit_empty = row.flags & kOmitEmpty;
    f.pointer = row.flags & kPointer;
    f.required = row.flags & kRequired;
    f.patch_strategy = t.text(row.patch_strategy);
    f.patch_merge_key = t.text(row.merge_key);
    f.list_type = t.text(row.list_type);
    f.list_map_keys = split(t.text(row.list_map_keys));
    f.default_value = t.text(row.default_value);
    f.go_type = t.text(row.go_type);
    f.enum_values = split(t.text(row.enum_values));
    f.doc = t.text(row.doc);
    return f;
  }

  static const Type::Detail* detail(const Type& type) {
    auto detail = std::make_unique<Type::Detail>();
    const TypeRow& r = row(type);
    detail->fields.reserve(r.fields);
    for (std::uint32_t i = 0; i < r.fields; ++i) detail->fields.push_back(field(tables().fields[r.first_field + i]));
    for (const Field& f : detail->fields) {
      if (f.number) detail->by_number.push_back(&f);
      if (f.inlined) {
        const auto& inner = f.message->detail().by_json;
        detail->by_json.insert(detail->by_json.end(), inner.begin(), inner.end());
      } else {
        detail->by_json.push_back(&f);
      }
    }
    std::ranges::sort(detail->by_json, {}, &Field::name);
    std::ranges::sort(detail->by_number, {}, &Field::number);
    return detail.release();  // lives until the process ends
  }
};

const Type::Detail& Type::detail() const {
  if (const auto* ready = detail_.load(std::memory_order_acquire)) return *ready;
  // Two threads may read the same type at once; one result is kept.
  const Detail* made = SchemaReader::detail(*this);
  const Detail* expected = nullptr;
  if (detail_.compare_exchange_strong(expected, made, std::memory_order_acq_rel)) return *made;
  delete made;
  return *expected;
}

std::string_view Type::short_name() const {
  return name_.substr(name_.rfind('.') + 1);
}

std::string_view Type::doc() const {
  return tables().text(SchemaReader::row(*this).doc);
}

bool Type::atomic() const {
  return SchemaReader::row(*this).atomic;
}

const std::vector<Field>& Type::fields() const {
  return detail().fields;
}

const std::vector<const Field*>& Type::wire_fields() const {
  return detail().by_number;
}

std::string Type::openapi_name() const {
  // The Go package's domain reversed; a proto package spells the dashes of its path as underscores.
  std::string out = "io.k8s." + std::string(name_.substr(std::strlen("k8s.io.")));
  std::replace(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(out.rfind('.')), '_', '-');
  return out;
}

const Field* Type::by_json(std::string_view json_name) const {
  const auto& index = detail().by_json;
  auto it = std::ranges::lower_bound(index, json_name, {}, &Field::name);
  return it != index.end() && (*it)->name == json_name ? *it : nullptr;
}

const Field* Type::by_number(std::uint32_t number) const {
  const auto& index = detail().by_number;
  auto it = std::ranges::lower_bound(index, number, {}, &Field::number);
  return it != index.end() && (*it)->number == number ? *it : nullptr;
}

std::span<const Type> all_types() {
  return SchemaReader::types();
}

const Type* find_type(std::string_view name) {
  const auto types = all_types();
  auto it = std::ranges::lower_bound(types, name, {}, &Type::name);
  return it != types.end() && it->name() == name ? &*it : nullptr;
}

namespace {

// Kinds that every group version knows besides its own (metav1.AddToGroupVersion).
bool is_meta_kind(std::string_view kind) {
  for (std::string_view known :
       {"CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions", "UpdateOptions", "ApplyOptions",
        "Status", "WatchEvent", "APIGroup", "APIGroupList", "APIResourceList", "APIVersions", "PartialObjectMetadata",
        "PartialObjectMetadataList"})
    if (kind == known) return true;
  return false;
}

}  // namespace

const Type* type_of(std::string_view api_version, std::string_view kind) {
  const auto& t = tables();
  const auto rows = t.kind_rows();
  using Key = std::pair<std::string_view, std::string_view>;
  const Key wanted(api_version, kind);
  auto it = std::ranges::lower_bound(
      rows, wanted, {}, [&](const KindRow& row) { return Key(t.text(row.api_version), t.text(row.kind)); });
  if (it != rows.end() && Key(t.text(it->api_version), t.text(it->kind)) == wanted) return &all_types()[it->type];
  if (is_meta_kind(kind)) return find_type(std::string(kMeta) + std::string(kind));
  return nullptr;
}

std::vector<GroupVersionKind> kinds_of(const Type& type) {
  const auto& t = tables();
  const auto index = static_cast<std::uint32_t>(&type - all_types().data());
  const bool meta = type.name().starts_with(kMeta) && is_meta_kind(type.short_name());
  std::vector<GroupVersionKind> out;
  std::string_view last;
  for (const KindRow& row : t.kind_rows()) {
    const std::string_view api_version = t.text(row.api_version);
    if (meta && api_version != last && !api_version.starts_with("meta."))
      out.push_back({t.text(row.group), t.text(row.version), type.short_name()});
    if (!meta && row.type == index) out.push_back({t.text(row.group), t.text(row.version), t.text(row.kind)});
    last = api_version;
  }
  return out;
}

}  // namespace lab::api
