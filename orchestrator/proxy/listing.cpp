#include "orchestrator/proxy/listing.h"

#include <optional>

#include "orchestrator/proxy/elements.h"

namespace lab::proxy {
namespace {

std::string protocol_name(std::string s) {
  if (s == "6") return "tcp";
  if (s == "17") return "udp";
  return s == "132" ? "sctp" : s;
}

std::string scalar(const json::Value& v) {
  if (auto s = json::as_str(v); !s.empty()) return std::string(s);
  return std::to_string(json::as_int(v));
}

// A key or a value as elements.h writes it. A protocol, which may come as its number, is the first field or follows an
// address, and something follows it.
std::string text_of(const json::Value& v) {
  if (const auto& elem = json::at(v, "elem"); !elem.is_null()) return text_of(json::at(elem, "val"));
  if (const auto& prefix = json::at(v, "prefix"); !prefix.is_null()) {
    return std::string(json::str(prefix, "addr")) + "/" + std::to_string(json::num(prefix, "len"));
  }
  if (const auto* o = v.if_object(); o && o->contains("drop")) return "drop";
  if (json::has(v, "goto")) return "goto " + std::string(json::str(v, "goto", "target"));
  if (const auto& range = json::list(v, "range"); range.size() == 2) return text_of(range[0]) + "-" + text_of(range[1]);
  const auto& parts = json::list(v, "concat");
  if (parts.empty()) return scalar(v);
  std::string out;
  bool after_address = true;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto part = json::has(parts[i], "prefix") ? text_of(parts[i]) : scalar(parts[i]);
    bool address = part.find('.') != std::string::npos;
    bool protocol = after_address && !address && i + 1 < parts.size();
    out += (i ? " . " : "") + (protocol ? protocol_name(part) : part);
    after_address = address;
  }
  return out;
}

bool ours(const json::Value& object, const char* kind) {
  return std::string(json::str(object, kind, "family")) + " " + std::string(json::str(object, kind, "table")) == kTable;
}

std::optional<Element> element_of(std::string set, const json::Value& item) {
  const auto& pair = json::as_array(item);
  if (pair.empty()) return Element{std::move(set), text_of(item), ""};
  if (pair.size() != 2) return std::nullopt;
  return Element{std::move(set), text_of(pair[0]), text_of(pair[1])};
}

std::optional<RememberedClient> remembered_of(const json::Value& v) {
  const auto& pair = json::as_array(v);
  if (pair.size() != 2) return std::nullopt;
  const auto& elem = json::at(pair[0], "elem");
  const auto& key = json::list(elem.is_null() ? pair[0] : json::at(elem, "val"), "concat");
  if (key.size() != 4 || json::list(pair[1], "concat").size() != 2) return std::nullopt;
  auto port = protocol_name(scalar(key[2])) + " . " + scalar(key[3]);
  return RememberedClient{scalar(key[0]), scalar(key[1]) + " . " + port, port, text_of(pair[1])};
}

}  // namespace

Listing listing_of(const json::Value& listed) {
  Listing out;
  for (const auto& object : json::list(listed, "nftables")) {
    if (ours(object, "chain")) out.chains.emplace(json::str(object, "chain", "name"));
    for (const char* kind : {"set", "map"}) {
      std::string name(json::str(object, kind, "name"));
      if (!ours(object, kind) || name == kAffinityMap) continue;
      for (const auto& item : json::list(object, kind, "elem")) {
        if (auto e = element_of(name, item)) out.elements.insert(std::move(*e));
      }
    }
  }
  return out;
}

std::vector<RememberedClient> remembered_clients(const json::Value& listed) {
  std::vector<RememberedClient> out;
  for (const auto& object : json::list(listed, "nftables")) {
    for (const auto& item : json::list(object, "map", "elem")) {
      if (auto r = remembered_of(item)) out.push_back(std::move(*r));
    }
  }
  return out;
}

}  // namespace lab::proxy
