#include "orchestrator/proxy/ruleset.h"

#include <algorithm>

#include "orchestrator/proxy/elements.h"

namespace lab::proxy {
namespace {

std::string command(const char* verb, const Element& e, bool with_data) {
  std::string out = std::string(verb) + " element " + kTable + " " + e.set + " { " + e.key;
  if (with_data && !e.data.empty()) out += " : " + e.data;
  return out + " }\n";
}

void add(const Element& e, Change& change) {
  change.script += command("add", e, true);
  ++change.elements;
}

void remove(const Element& e, Change& change) {
  // Maps of verdicts and of values alike are deleted by key and data.
  change.script += command("delete", e, true);
  ++change.elements;
}

// Puts the wanted targets into slots so that as few as possible change: who stays keeps its slot unless the list
// shrank below it.
std::vector<Target> assign_slots(const std::vector<Target>& before, const std::vector<Target>& wanted) {
  std::set<Target> left(wanted.begin(), wanted.end());
  std::vector<Target> out(left.size());
  std::vector<bool> filled(left.size());
  for (std::size_t i = 0; i < before.size() && i < out.size(); ++i) {
    if (left.erase(before[i])) {
      out[i] = before[i];
      filled[i] = true;
    }
  }
  auto next = left.begin();
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!filled[i]) out[i] = *next++;
  }
  return out;
}

Element address_element(const std::string& set, const IpAddress& a, bool doubled) {
  return {set, doubled ? a.text() + " . " + a.text() : a.text(), ""};
}

}  // namespace

void Ruleset::ensure_chain(const Frontend& f, Change& change) {
  if (f.affinity_seconds && chains_.insert(remember_chain(f.affinity_seconds)).second) {
    change.script += remember_script(f.affinity_seconds);
  }
  if (chains_.insert(chain_name(f)).second) change.script += chain_script(f);
}

void Ruleset::put(const std::string& service, const Frontend& wanted, Change& change) {
  auto& slots = frontends_[wanted.key];
  bool fresh = slots.owner.empty();
  Frontend before = fresh ? Frontend{.key = wanted.key, .when_empty = WhenEmpty::kNothing} : slots.frontend;
  Frontend after = wanted;
  after.targets = assign_slots(before.targets, wanted.targets);
  slots = {after, service};
  ensure_chain(after, change);

  for (std::size_t i = 0; i < std::max(before.targets.size(), after.targets.size()); ++i) {
    bool had = i < before.targets.size(), has = i < after.targets.size();
    if (had && has && before.targets[i] == after.targets[i]) continue;
    if (had) remove(slot_element(wanted.key, i, before.targets[i]), change);
    if (has) add(slot_element(wanted.key, i, after.targets[i]), change);
  }
  auto old_elements = fresh ? std::vector<Element>{} : frontend_elements(before);
  auto new_elements = frontend_elements(after);
  for (const auto& e : old_elements) {
    if (std::ranges::find(new_elements, e) == new_elements.end()) remove(e, change);
  }
  for (const auto& e : new_elements) {
    if (std::ranges::find(old_elements, e) == old_elements.end()) add(e, change);
  }

  std::set<Target> gone(before.targets.begin(), before.targets.end());
  for (const auto& t : after.targets) gone.erase(t);
  bool was_empty = before.targets.empty();
  if (wanted.key.protocol == Protocol::kUdp && (!gone.empty() || (was_empty && !after.targets.empty()))) {
    change.stale.push_back({wanted.key, gone, was_empty});
  }
  if (before.affinity_seconds) {
    for (const auto& t : gone) change.sticky_gone.insert(key_text(wanted.key) + " : " + target_text(t));
  }
}

void Ruleset::drop(const FrontendKey& key, Change& change) {
  auto at = frontends_.find(key);
  if (at == frontends_.end()) return;
  const auto& f = at->second.frontend;
  for (const auto& e : frontend_elements(f)) remove(e, change);
  for (std::size_t i = 0; i < f.targets.size(); ++i) remove(slot_element(key, i, f.targets[i]), change);
  if (key.protocol == Protocol::kUdp && !f.targets.empty()) {
    change.stale.push_back({key, {f.targets.begin(), f.targets.end()}, false});
  }
  if (f.affinity_seconds) {
    for (const auto& t : f.targets) change.sticky_gone.insert(key_text(key) + " : " + target_text(t));
  }
  frontends_.erase(at);
  if (auto w = waiting_.find(key); w != waiting_.end()) {
    freed_.insert(w->second.begin(), w->second.end());
    waiting_.erase(w);
  }
}

// Several services may share an endpoint, so that set elements are counted.
void Ruleset::count(Counts& counts, const std::string& set, const std::vector<IpAddress>& before,
                    const std::vector<IpAddress>& after, bool doubled, Change& change) {
  for (const auto& a : after) {
    if (counts[a]++ == 0) add(address_element(set, a, doubled), change);
  }
  for (const auto& a : before) {
    if (--counts[a] > 0) continue;
    counts.erase(a);
    remove(address_element(set, a, doubled), change);
  }
}

Change Ruleset::update(const std::string& service, const ServiceRules& rules) {
  Change change;
  auto& state = services_[service];
  std::set<FrontendKey> keys;
  for (const auto& f : rules.frontends) {
    auto at = frontends_.find(f.key);
    if (at != frontends_.end() && at->second.owner != service) {
      waiting_[f.key].insert(service);
      continue;
    }
    if (!keys.insert(f.key).second) continue;  // a port listed twice
    put(service, f, change);
  }
  for (const auto& key : state.keys) {
    if (!keys.contains(key)) drop(key, change);
  }
  count(cluster_ips_, "cluster-ips", state.cluster_ips, rules.cluster_ips, false, change);
  count(hairpin_, "hairpin", state.local_targets, rules.local_targets, true, change);
  state = {std::move(keys), rules.cluster_ips, rules.local_targets};
  if (rules.frontends.empty() && rules.cluster_ips.empty()) services_.erase(service);
  return change;
}

std::set<std::string> Ruleset::take_waiting() {
  return std::exchange(freed_, {});
}

std::set<Element> Ruleset::elements() const {
  std::set<Element> out;
  for (const auto& cidr : pod_cidrs_) out.insert(pod_cidr_element(cidr));
  for (const auto& [key, slots] : frontends_) {
    for (auto& e : frontend_elements(slots.frontend)) out.insert(std::move(e));
    const auto& targets = slots.frontend.targets;
    for (std::size_t i = 0; i < targets.size(); ++i) out.insert(slot_element(key, i, targets[i]));
  }
  for (const auto& [a, n] : cluster_ips_) out.insert(address_element("cluster-ips", a, false));
  for (const auto& [a, n] : hairpin_) out.insert(address_element("hairpin", a, true));
  return out;
}

std::string Ruleset::converge_script(const Listing& kernel) {
  std::string out;
  for (const auto& chain : kernel.chains) out += "flush chain " + std::string(kTable) + " " + chain + "\n";
  out += base_script();
  chains_.clear();
  Change chains;
  for (const auto& [key, slots] : frontends_) ensure_chain(slots.frontend, chains);
  out += chains.script;
  auto wanted = elements();
  for (const auto& e : kernel.elements) {
    if (!wanted.contains(e)) out += command("delete", e, true);
  }
  std::map<std::string, std::vector<std::string>> by_set;
  for (const auto& e : wanted) {
    if (!kernel.elements.contains(e)) by_set[e.set].push_back(e.data.empty() ? e.key : e.key + " : " + e.data);
  }
  constexpr std::size_t kPerCommand = 500;
  for (const auto& [set, items] : by_set) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i % kPerCommand == 0) out += (i ? " }\n" : "") + std::string("add element ") + kTable + " " + set + " { ";
      out += (i % kPerCommand ? ", " : "") + items[i];
    }
    out += " }\n";
  }
  return out;
}

std::string Ruleset::full_script() {
  auto table = std::string(kTable) + "\n";
  return "add table " + table + "delete table " + table + converge_script({});
}

Serving Ruleset::serving() const {
  Serving out;
  for (const auto& [key, slots] : frontends_) {
    auto& endpoints = out[key_text(key)];
    for (const auto& t : slots.frontend.targets) endpoints.insert(target_text(t));
  }
  return out;
}

}  // namespace lab::proxy
