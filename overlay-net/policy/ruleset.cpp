#include "overlay-net/policy/ruleset.h"

#include <algorithm>

namespace lab::overlay::policy {

void Ruleset::set_policy(Policy policy) {
  model_.set_policy(std::move(policy));
  policies_changed_ = true;
}

void Ruleset::remove_policy(const std::string& key) {
  model_.remove_policy(key);
  policies_changed_ = true;
}

void Ruleset::set_namespace(const std::string& name, json::Object labels) {
  model_.set_namespace(name, std::move(labels));
  for (const auto& key : model_.pods_in(name)) touched_.insert(key);
}

void Ruleset::remove_namespace(const std::string& name) {
  model_.remove_namespace(name);
  for (const auto& key : model_.pods_in(name)) touched_.insert(key);
}

void Ruleset::set_pod(Pod pod) {
  auto key = pod.key();
  told_.insert_or_assign(key, std::move(pod));
  refresh(key);
}

void Ruleset::remove_pod(const std::string& key) {
  told_.erase(key);
  refresh(key);
}

void Ruleset::wire(const std::string& ns, const std::string& name, IpAddress address) {
  unwire(address);
  std::string key = ns + "/" + name;
  wired_[address] = {ns, name};
  wired_to_[key].insert(address);
  refresh(key);
}

void Ruleset::unwire(const IpAddress& address) {
  auto at = wired_.find(address);
  if (at == wired_.end()) return;
  std::string key = at->second.ns + "/" + at->second.name;
  wired_.erase(at);
  auto& addresses = wired_to_[key];
  addresses.erase(address);
  if (addresses.empty()) wired_to_.erase(key);
  refresh(key);
}

// Puts the pod as it is told and wired into the model.
void Ruleset::refresh(const std::string& key) {
  touch(key);
  auto told = told_.find(key);
  auto wired = wired_to_.find(key);
  if (told == told_.end() && wired == wired_to_.end()) {
    model_.remove_pod(key);
    return;
  }
  Pod pod;
  if (told != told_.end()) {
    pod = told->second;
  } else {
    const auto& w = wired_.at(*wired->second.begin());
    pod = {.ns = w.ns, .name = w.name, .known = false};
  }
  if (wired != wired_to_.end()) {
    pod.addresses.assign(wired->second.begin(), wired->second.end());
    pod.node = node_;
    pod.wired = true;
  }
  model_.set_pod(std::move(pod));
  touch(key);
}

// Who has an address may change with every pod that claims it.
void Ruleset::touch(const std::string& key) {
  touched_.insert(key);
  const auto* pod = model_.pod(key);
  if (!pod) return;
  for (const auto& a : pod->addresses) {
    for (auto& other : model_.claimants(a)) touched_.insert(std::move(other));
  }
}

void Ruleset::isolate(const Pod& pod, const IpAddress& address, std::vector<Element>& out) const {
  bool any = false;
  for (auto direction : {Direction::kIngress, Direction::kEgress}) {
    bool isolated = false;
    for (const auto& [name, policy] : model_.policies_of(pod.ns)) {
      if (policy.restricts(direction) && (!pod.known || model_.selects(policy, pod))) isolated = true;
    }
    if (!isolated) continue;
    out.push_back({pods_map(direction), address.text(), "goto " + namespace_chain(direction, pod.ns)});
    any = true;
  }
  if (!any) return;
  out.push_back({"self", address.text() + " . " + address.text(), ""});
  for (const auto& [name, policy] : model_.policies_of(pod.ns)) {
    bool used = policy.ingress || policy.egress;
    if (used && model_.selects(policy, pod)) out.push_back({pods_set(policy), address.text(), ""});
  }
}

std::vector<Element> Ruleset::elements_of(const Pod& pod) const {
  std::vector<Element> out;
  for (const auto& address : pod.addresses) {
    if (model_.pod_at(address) != &pod) continue;
    if (pod.node == node_) isolate(pod, address, out);
    if (!pod.known) continue;
    for (const auto& [set, peer] : groups_) {
      if (model_.has(peer, pod)) out.push_back({set, address.text(), ""});
    }
    for (const auto& port : pod.ports) {
      auto set = port_set(port.name, port.protocol);
      if (!program_.sets.contains(set)) continue;
      out.push_back(
          {set, address.text() + " . " + protocol_text(port.protocol) + " . " + std::to_string(port.number), ""});
    }
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// The whole program anew. program_'s sets are already the new ones when elements are asked for.
Program Ruleset::render() {
  auto before = std::exchange(program_, program_of(model_));
  groups_.clear();
  for (const auto& [ns, policies] : model_.policies()) {
    for (const auto& [name, policy] : policies) {
      for (auto direction : {Direction::kIngress, Direction::kEgress}) {
        if (!policy.restricts(direction)) continue;
        for (const auto& rule : policy.rules(direction)) {
          for (const auto& p : rule.peers) {
            if (!p.block && !p.nothing) groups_.try_emplace(peer_set(p), p);
          }
        }
      }
    }
  }
  given_.clear();
  for (const auto& [key, pod] : model_.pods()) {
    auto elements = elements_of(pod);
    if (elements.empty()) continue;
    program_.elements.insert(elements.begin(), elements.end());
    given_[key] = std::move(elements);
  }
  touched_.clear();
  policies_changed_ = false;
  return before;
}

Change Ruleset::take_change() {
  Change out;
  std::vector<Element> removed, added;
  if (policies_changed_) {
    auto before = render();
    out.script = change_script(before, program_);
    std::ranges::set_difference(before.elements, program_.elements, std::back_inserter(removed));
    std::ranges::set_difference(program_.elements, before.elements, std::back_inserter(added));
    out.elements = removed.size() + added.size();
    out.chains = before.chains != program_.chains || before.sets != program_.sets;
    return out;
  }
  std::set<Element> before, after;
  for (const auto& key : std::exchange(touched_, {})) {
    if (auto at = given_.find(key); at != given_.end()) {
      before.insert(at->second.begin(), at->second.end());
      given_.erase(at);
    }
    const auto* pod = model_.pod(key);
    auto elements = pod ? elements_of(*pod) : std::vector<Element>{};
    if (elements.empty()) continue;
    after.insert(elements.begin(), elements.end());
    given_[key] = std::move(elements);
  }
  std::ranges::set_difference(before, after, std::back_inserter(removed));
  std::ranges::set_difference(after, before, std::back_inserter(added));
  for (const auto& e : removed) program_.elements.erase(e);
  program_.elements.insert(added.begin(), added.end());
  out.script = element_script(removed, added);
  out.elements = removed.size() + added.size();
  return out;
}

std::string Ruleset::converge_script(const Program& kernel, const ProgramOptions& options) {
  (void)render();
  return base_script(options) + change_script(kernel, program_);
}

std::size_t Ruleset::isolated_pods() const {
  std::size_t out = 0;
  for (auto at = program_.elements.lower_bound({"self", "", ""}); at != program_.elements.end() && at->set == "self";
       ++at)
    ++out;
  return out;
}

}  // namespace lab::overlay::policy
