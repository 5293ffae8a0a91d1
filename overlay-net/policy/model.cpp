#include "overlay-net/policy/model.h"

#include <algorithm>
#include <tuple>

namespace lab::overlay::policy {

Model Model::of(const json::Array& policies, const json::Array& namespaces, const json::Array& pods) {
  Model out;
  for (const auto& p : policies) out.set_policy(policy_from(p));
  for (const auto& n : namespaces) {
    out.set_namespace(std::string(json::str(n, "metadata", "name")), json::map(n, "metadata", "labels"));
  }
  for (const auto& p : pods) out.set_pod(pod_from(p));
  return out;
}

void Model::set_policy(Policy policy) {
  auto ns = policy.ns, name = policy.name;
  policies_[ns].insert_or_assign(name, std::move(policy));
}

void Model::remove_policy(const std::string& key) {
  auto slash = key.find('/');
  auto at = policies_.find(key.substr(0, slash));
  if (at == policies_.end()) return;
  at->second.erase(key.substr(slash + 1));
  if (at->second.empty()) policies_.erase(at);
}

void Model::set_namespace(const std::string& name, json::Object labels) {
  namespaces_.insert_or_assign(name, std::move(labels));
}

void Model::remove_namespace(const std::string& name) {
  namespaces_.erase(name);
}

void Model::set_pod(Pod pod) {
  auto key = pod.key();
  remove_pod(key);
  for (const auto& a : pod.addresses) claims_[a].insert(key);
  pods_.emplace(key, std::move(pod));
}

void Model::remove_pod(const std::string& key) {
  auto at = pods_.find(key);
  if (at == pods_.end()) return;
  for (const auto& a : at->second.addresses) {
    auto& claim = claims_[a];
    claim.erase(key);
    if (claim.empty()) claims_.erase(a);
  }
  pods_.erase(at);
}

const std::map<std::string, Policy>& Model::policies_of(const std::string& ns) const {
  static const std::map<std::string, Policy> none;
  auto at = policies_.find(ns);
  return at == policies_.end() ? none : at->second;
}

std::size_t Model::policy_count() const {
  std::size_t out = 0;
  for (const auto& [ns, policies] : policies_) out += policies.size();
  return out;
}

const Pod* Model::pod(const std::string& key) const {
  auto at = pods_.find(key);
  return at == pods_.end() ? nullptr : &at->second;
}

const Pod* Model::pod_at(const IpAddress& address) const {
  auto at = claims_.find(address);
  if (at == claims_.end()) return nullptr;
  const Pod* out = nullptr;
  for (const auto& key : at->second) {
    const auto& p = pods_.at(key);
    if (!out || std::tie(p.wired, p.created) > std::tie(out->wired, out->created)) out = &p;
  }
  return out;
}

std::vector<std::string> Model::claimants(const IpAddress& address) const {
  auto at = claims_.find(address);
  if (at == claims_.end()) return {};
  return {at->second.begin(), at->second.end()};
}

std::vector<std::string> Model::pods_in(const std::string& ns) const {
  std::vector<std::string> out;
  for (auto at = pods_.lower_bound(ns + "/"); at != pods_.end() && at->second.ns == ns; ++at) out.push_back(at->first);
  return out;
}

const json::Object& Model::namespace_labels(const std::string& ns) const {
  auto at = namespaces_.find(ns);
  return at == namespaces_.end() ? json::empty_object() : at->second;
}

bool Model::selects(const Policy& policy, const Pod& pod) const {
  return pod.known && policy.ns == pod.ns && policy.pods.matches(pod.labels);
}

bool Model::has(const Peer& peer, const Pod& pod) const {
  if (peer.nothing || peer.block || !pod.known || pod.host_network) return false;
  if (peer.namespaces) {
    // A namespace that is not known has no labels that could be asked for, nor any that could be missing.
    if (!namespaces_.contains(pod.ns) || !peer.namespaces->matches(namespace_labels(pod.ns))) return false;
  } else if (pod.ns != peer.ns) {
    return false;
  }
  return !peer.pods || peer.pods->matches(pod.labels);
}

bool Model::matches(const Peer& peer, const Party& party) const {
  if (peer.nothing) return false;
  if (!peer.block) return party.pod && has(peer, *party.pod);
  auto excepted = [&](const Cidr& c) { return c.contains(party.address); };
  return peer.block->cidr.contains(party.address) && std::ranges::none_of(peer.block->except, excepted);
}

bool Model::matches(const Port& port, const Flow& flow) {
  if (port.protocol != flow.protocol) return false;
  if (port.name.empty()) return port.first == 0 || (flow.port >= port.first && flow.port <= port.last);
  const auto* pod = flow.destination.pod;
  return pod && std::ranges::any_of(pod->ports, [&](const NamedPort& p) {
           return p.name == port.name && p.protocol == flow.protocol && p.number == flow.port;
         });
}

bool Model::peers_match(const Rule& rule, const Party& party) const {
  return rule.peers.empty() || std::ranges::any_of(rule.peers, [&](const Peer& p) { return matches(p, party); });
}

bool Model::ports_match(const Rule& rule, const Flow& flow) {
  return rule.ports.empty() || std::ranges::any_of(rule.ports, [&](const Port& p) { return matches(p, flow); });
}

Judgement Model::judge(Direction direction, const Flow& flow) const {
  bool ingress = direction == Direction::kIngress;
  const auto& own = ingress ? flow.destination : flow.source;
  const auto& other = ingress ? flow.source : flow.destination;
  Judgement out{.direction = direction};
  if (!own.pod || own.pod->host_network) return out;
  const auto& pod = *own.pod;
  for (const auto& [name, policy] : policies_of(pod.ns)) {
    if (policy.restricts(direction) && (!pod.known || selects(policy, pod))) out.policies.push_back(&policy);
  }
  if (out.policies.empty()) return out;
  if (own.address == other.address) {
    out.why = Why::kSelf;
  } else if (!pod.node_address.empty() && other.address == pod.node_address) {
    out.why = Why::kOwnNode;
  } else if (!pod.known) {
    out.why = Why::kUnknown;
  } else {
    out.why = Why::kNoRule;
    for (const auto* policy : out.policies) {
      const auto& rules = policy->rules(direction);
      for (std::size_t i = 0; i < rules.size(); ++i) {
        if (!peers_match(rules[i], other) || !ports_match(rules[i], flow)) continue;
        out.why = Why::kRule;
        out.by = policy;
        out.rule = i;
        return out;
      }
    }
  }
  return out;
}

}  // namespace lab::overlay::policy
