// Objects of the policy tests, in short forms.
#pragma once

#include <gtest/gtest.h>

#include "overlay-net/policy/ruleset.h"

namespace lab::overlay::policy {

inline json::Value parsed(const std::string& text) {
  auto v = json::parse(text);
  if (!v) throw std::runtime_error(v.error().text() + " in " + text);
  return *v;
}

// `spec` is the JSON text of NetworkPolicy.spec.
inline Policy policy(const std::string& ns, const std::string& name, const std::string& spec) {
  json::Value object = json::Object{{"metadata", json::Object{{"namespace", ns}, {"name", name}}}};
  json::set(object, parsed(spec), "spec");
  return policy_from(object);
}

inline IpAddress ip(const std::string& text) {
  return *IpAddress::parse(text);
}

inline Pod pod(const std::string& ns, const std::string& name, const std::string& address, const std::string& labels,
               const std::string& node = "n1") {
  Pod out{.ns = ns, .name = name, .node = node, .created = "2026-01-01T00:00:00Z"};
  out.labels = json::as_object(parsed(labels));
  out.node_address = ip(node == "n1" ? "192.168.77.1" : "192.168.77.2");
  if (!address.empty()) out.addresses.push_back(ip(address));
  return out;
}

inline Flow flow(const Model& m, const std::string& from, const std::string& to, std::uint16_t port = 80,
                 Protocol protocol = IPPROTO_TCP) {
  return {.source = {ip(from), m.pod_at(ip(from))},
          .destination = {ip(to), m.pod_at(ip(to))},
          .protocol = protocol,
          .port = port};
}

}  // namespace lab::overlay::policy
