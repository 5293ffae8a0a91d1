#include "bootstrap/config/check.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "bootstrap/config/kubelet.h"
#include "orchestrator/api/time.h"

namespace lab::bootstrap::config {

namespace {

std::string_view kind_text(Kind kind) {
  switch (kind) {
    case Kind::kText:
      return "text (quote it)";
    case Kind::kInteger:
      return "a whole number";
    case Kind::kBool:
      return "true or false";
    case Kind::kDuration:
      return "a duration such as 4m0s";
    case Kind::kTime:
      return "a time such as 2030-01-01T00:00:00Z";
    case Kind::kTexts:
      return "a list of texts";
    case Kind::kTextMap:
      return "a mapping to texts (quote numbers)";
    case Kind::kBoolMap:
      return "a mapping to true or false";
    case Kind::kObject:
    case Kind::kTree:
      return "a mapping";
    case Kind::kObjects:
      return "a list of mappings";
  }
  return "";
}

template <class Test>
bool every(const json::Array& list, Test test) {
  return std::all_of(list.begin(), list.end(), test);
}

bool every_value(const json::Object& map, bool (*test)(const json::Value&)) {
  return std::all_of(map.begin(), map.end(), [&](const auto& entry) { return test(entry.value()); });
}

bool fits(const json::Value& v, Kind kind) {
  auto text = [](const json::Value& x) { return x.is_string(); };
  auto boolean = [](const json::Value& x) { return x.is_bool(); };
  if (v.is_null()) return true;  // means: the default
  switch (kind) {
    case Kind::kText:
    case Kind::kTime:
      return v.is_string();
    case Kind::kInteger:
      return v.is_int64() || v.is_uint64();
    case Kind::kBool:
      return v.is_bool();
    case Kind::kDuration:
      return v.is_string() && api::parse_duration(json::as_str(v));
    case Kind::kTexts:
      return v.is_array() && every(v.get_array(), text);
    case Kind::kTextMap:
      return v.is_object() && every_value(v.get_object(), +text);
    case Kind::kBoolMap:
      return v.is_object() && every_value(v.get_object(), +boolean);
    case Kind::kObject:
    case Kind::kTree:
      return v.is_object();
    case Kind::kObjects:
      return v.is_array() && every(v.get_array(), [](const json::Value& x) { return x.is_object(); });
  }
  return false;
}

std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (std::tolower(static_cast<unsigned char>(a[i - 1])) !=
                                              std::tolower(static_cast<unsigned char>(b[j - 1])));
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

// The field that was meant, perhaps; "" where none is near.
std::string nearest_to(std::string_view name, const Fields& fields, unsigned version) {
  std::string_view best;
  std::size_t nearest = 4;
  for (const auto& f : fields.rows) {
    if (!(f.versions & version)) continue;
    if (auto d = distance(name, f.name); d < nearest) nearest = d, best = f.name;
  }
  return std::string(best);
}

// "; did you mean \"podSubnet\"?", or which version has the field.
std::string advice(std::string_view name, const Fields& fields, unsigned version) {
  for (const auto& f : fields.rows)
    if (f.name == name)
      return std::string("; it exists in ") + (f.versions == kV1beta3 ? "v1beta3" : "v1beta4") + " only";
  if (auto best = nearest_to(name, fields, version); !best.empty()) return "; did you mean \"" + best + "\"?";
  std::string all;
  for (const auto& f : fields.rows)
    if (f.versions & version) all += (all.empty() ? "" : ", ") + std::string(f.name);
  return "; " + std::string(fields.name) + " has: " + all;
}

constexpr std::string_view kTakenArgs[] = {"node-ip", "hostname-override", "default-not-ready-toleration-seconds",
                                           "node-monitor-grace-period", "cluster-signing-duration"};

bool taken_arg(std::string_view name) {
  return std::find(std::begin(kTakenArgs), std::end(kTakenArgs), name) != std::end(kTakenArgs);
}

struct Walk {
  const yaml::Document& document;
  unsigned version;
  Findings& out;
  std::string whose = {};

  std::string at(const std::string& pointer) const { return yaml::place_text(document, pointer) + ": "; }

  void flags(const Field& field, const json::Value& value, const std::string& pointer, const std::string& path) const {
    auto note = [&](std::string_view name, const std::string& where) {
      if (!taken_arg(name))
        out.warnings.push_back(at(where) + path + ": " + std::string(name) +
                               " has no effect: " + std::string(field.idle));
    };
    for (const auto& [name, text] : json::as_object(value)) note(name, pointer + "/" + yaml::pointer_token(name));
    for (std::size_t i = 0; i < json::as_array(value).size(); ++i)
      note(json::str(value.get_array()[i], "name"), pointer + "/" + std::to_string(i));
  }

  // What is done anyway; and a time of zero, by which the kubelet means its default.
  static bool unmentioned(const Field& field, const json::Value& value) {
    if (field.kind == Kind::kDuration && !field.idle.empty()) {
      auto given = api::parse_duration(json::as_str(value));
      if (given && given->count() == 0) return true;
    }
    if (field.as_is.empty()) return false;
    auto done = json::parse(field.as_is);
    return done && *done == value;
  }

  void unknown(const Fields& fields, const std::string& where, const std::string& full, std::string_view name) const {
    if (!fields.open) {
      out.errors.push_back(at(where) + "unknown field \"" + full + "\"" + advice(name, fields, version));
      return;
    }
    const std::string near = nearest_to(name, fields, version);
    out.warnings.push_back(at(where) + whose + full + " is unknown here and has no effect" +
                           (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
  }

  void one(const Field& field, const json::Value& value, const std::string& pointer, const std::string& path) const {
    if (!fits(value, field.kind)) {
      out.errors.push_back(at(pointer) + whose + path + " must be " + std::string(kind_text(field.kind)));
      return;
    }
    if (value.is_null()) return;
    const bool nothing =
        (value.is_array() && value.get_array().empty()) || (value.is_object() && value.get_object().empty());
    if (nothing || unmentioned(field, value)) return;
    const bool of_flags = field.name.ends_with("xtraArgs");
    if (of_flags && !field.idle.empty())
      flags(field, value, pointer, path);
    else if (!field.idle.empty())
      out.warnings.push_back(at(pointer) + whose + path + " has no effect: " + std::string(field.idle));
    if (field.kind == Kind::kObject) all(*field.of, value, pointer, path);
    if (field.kind == Kind::kObjects)
      for (std::size_t i = 0; i < value.get_array().size(); ++i) {
        const std::string index = std::to_string(i);
        all(*field.of, value.get_array()[i], pointer + "/" + index, path + "[" + index + "]");
      }
  }

  void all(const Fields& fields, const json::Value& value, const std::string& pointer, const std::string& path) const {
    for (const auto& [key, below] : json::as_object(value)) {
      const std::string_view name(key);
      if (path.empty() && (name == "apiVersion" || name == "kind")) continue;
      const std::string where = pointer + "/" + yaml::pointer_token(name);
      const std::string full = (path.empty() ? "" : path + ".") + std::string(name);
      auto field = std::find_if(fields.rows.begin(), fields.rows.end(),
                                [&](const Field& f) { return f.name == name && (f.versions & version); });
      if (field == fields.rows.end())
        unknown(fields, where, full, name);
      else
        one(*field, below, where, full);
    }
  }
};

}  // namespace

void check_fields(const yaml::Document& document, const Fields& fields, unsigned version, Findings& out) {
  Walk{document, version, out}.all(fields, document.value, "", "");
}

void check_kubelet(const yaml::Document& document, Findings& out) {
  Walk{document, kBoth, out, "KubeletConfiguration's "}.all(kubelet_fields(), document.value, "", "");
}

}  // namespace lab::bootstrap::config
