#include "orchestrator/api/printers.h"

#include <algorithm>
#include <map>

#include "orchestrator/api/selector.h"

namespace lab::api {
namespace printers {

std::string since(std::string_view timestamp, WallTime now) {
  auto t = parse_time(timestamp);
  if (!t) return "<unknown>";
  return human_duration(std::chrono::duration_cast<std::chrono::seconds>(now - *t));
}

std::string age(const json::Value& object, WallTime now) {
  return since(json::str(object, "metadata", "creationTimestamp"), now);
}

std::string or_none(std::string_view text, std::string_view none) {
  return std::string(text.empty() ? none : text);
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const auto& p : parts) {
    if (&p != &parts.front()) out += separator;
    out += p;
  }
  return out;
}

std::string format_labels(const json::Object& labels) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : labels) parts.push_back(std::string(key) + "=" + std::string(json::as_str(value)));
  std::ranges::sort(parts);
  return or_none(join(parts));
}

std::string format_selector(const json::Value& selector) {
  auto parsed = LabelSelector::from_object(selector);
  return parsed ? or_none(parsed->text()) : "<error>";
}

std::string int_or_text(const json::Value& v) {
  return v.is_string() ? std::string(json::as_str(v)) : v.is_null() ? std::string() : json::dump(v);
}

void container_cells(json::Array& cells, const json::Value& pod_spec) {
  std::vector<std::string> names, images;
  for (const auto& c : json::list(pod_spec, "containers")) {
    names.emplace_back(json::str(c, "name"));
    images.emplace_back(json::str(c, "image"));
  }
  cells.emplace_back(join(names));
  cells.emplace_back(join(images));
}

std::string access_modes(const json::Array& modes) {
  static constexpr std::pair<std::string_view, std::string_view> kShort[] = {
      {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
  std::vector<std::string> out;
  for (const auto& [mode, brief] : kShort)
    for (const auto& m : modes)
      if (json::as_str(m) == mode) {
        out.emplace_back(brief);
        break;
      }
  return join(out);
}

}  // namespace printers

namespace {

struct Entry {
  std::vector<Column> columns;
  json::Array (*cells)(const json::Value&, WallTime) = nullptr;
};

std::string description_of(std::string_view column) {
  if (column == "Name") return "Name must be unique within a namespace.";
  if (column == "Age" || column == "Created At")
    return "CreationTimestamp is a timestamp representing the server time when this object was created.";
  return std::string(column);
}

Column column_of(std::string_view text) {
  Column c;
  if (text.ends_with('*')) {
    c.priority = 1;
    text.remove_suffix(1);
  }
  auto colon = text.find(':');
  c.name = text.substr(0, colon);
  if (colon != std::string_view::npos) c.type = text.substr(colon + 1);
  if (c.name == "Name") c.format = "name";
  c.description = description_of(c.name);
  return c;
}

Entry entry_of(const printers::Printer& p) {
  Entry e{.columns = {}, .cells = p.cells};
  bool named = std::ranges::any_of(p.columns, [](std::string_view c) { return c == "Name" || c == "Name:string*"; });
  if (!named) e.columns.push_back(column_of("Name"));
  for (std::string_view c : p.columns) e.columns.push_back(column_of(c));
  return e;
}

const Entry& find_entry(const Kind& kind) {
  using Key = std::pair<std::string_view, std::string_view>;  // literals of the printers' tables
  static const std::map<Key, Entry> entries = [] {
    std::map<Key, Entry> out;
    for (auto* area : {printers::core_printers, printers::workload_printers, printers::network_printers,
                       printers::policy_printers, printers::storage_printers})
      for (const auto& p : area()) out.emplace(Key(p.group, p.kind), entry_of(p));
    return out;
  }();
  static const Entry fallback = entry_of({.group = "", .kind = "", .columns = {"Age"}, .cells = [](auto& o, auto now) {
                                            return json::Array{json::Value(printers::age(o, now))};
                                          }});
  auto it = entries.find(Key(kind.group, kind.kind));
  return it == entries.end() ? fallback : it->second;
}

}  // namespace

const std::vector<Column>& columns_of(const Kind& kind) {
  return find_entry(kind).columns;
}

json::Array row_of(const Kind& kind, const json::Value& object, WallTime now) {
  const Entry& e = find_entry(kind);
  json::Array cells = e.cells(object, now);
  // StorageClass decorates its name, and Event's is not first: those give all cells themselves.
  if (cells.size() < e.columns.size()) cells.insert(cells.begin(), json::Value(json::str(object, "metadata", "name")));
  return cells;
}

}  // namespace lab::api
