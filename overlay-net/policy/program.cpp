#include "overlay-net/policy/program.h"

#include <algorithm>
#include <cstdio>

namespace lab::overlay::policy {
namespace {

constexpr std::size_t kLongestName = 240;     // nftables allows 255
constexpr std::size_t kLongestComment = 120;  // and 128 here
constexpr std::size_t kElementsPerCommand = 500;

std::string hash_of(const std::string& text) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211u;
  char out[17];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(hash));
  return out;
}

std::string name_of(const std::string& text) {
  if (text.size() <= kLongestName) return text;
  return text.substr(0, kLongestName - 17) + "-" + hash_of(text);
}

std::string commented(const std::string& type, const std::string& comment) {
  return "type " + type + "; comment \"" + comment.substr(0, kLongestComment) + "\";";
}

// Ranges of which none lies inside another, as an interval set wants them.
std::vector<Cidr> disjoint(std::vector<Cidr> cidrs) {
  std::ranges::sort(cidrs, {}, &Cidr::prefix);
  std::vector<Cidr> kept;
  for (const auto& c : cidrs) {
    if (std::ranges::none_of(kept, [&](const Cidr& k) { return k.overlaps(c); })) kept.push_back(c);
  }
  return kept;
}

template <class T, class F>
std::string joined(const std::vector<T>& items, F text) {
  std::string out;
  for (const auto& i : items) out += (out.empty() ? "" : ", ") + text(i);
  return out;
}

std::string block_condition(const std::string& field, const IpBlock& block) {
  std::string out = field + " " + block.cidr.text();
  std::vector<Cidr> except;
  for (const auto& e : disjoint(block.except)) {
    if (e.address.is_v4()) except.push_back(e);
  }
  if (!except.empty()) out += " " + field + " != { " + joined(except, [](const Cidr& c) { return c.text(); }) + " }";
  return out;
}

// What must hold of the other end, one per way in which it can; "" where nothing must.
std::vector<std::string> peer_conditions(Direction direction, const Rule& rule) {
  if (rule.peers.empty()) return {""};
  std::string field = direction == Direction::kIngress ? "ip saddr" : "ip daddr";
  std::vector<std::string> out;
  for (const auto& p : rule.peers) {
    if (p.nothing) continue;
    if (!p.block) {
      out.push_back(field + " @" + peer_set(p));
    } else if (p.block->cidr.address.is_v4()) {  // pods have no other addresses
      out.push_back(block_condition(field, *p.block));
    }
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// Ranges of ports that overlap are one, as nftables wants them.
std::string port_ranges(std::vector<std::pair<int, int>> ranges) {
  std::ranges::sort(ranges);
  std::vector<std::pair<int, int>> kept;
  for (const auto& r : ranges) {
    if (!kept.empty() && r.first <= kept.back().second + 1) {
      kept.back().second = std::max(kept.back().second, r.second);
    } else {
      kept.push_back(r);
    }
  }
  return joined(kept, [](const std::pair<int, int>& r) {
    return r.first == r.second ? std::to_string(r.first) : std::to_string(r.first) + "-" + std::to_string(r.second);
  });
}

std::vector<std::string> port_conditions(const Rule& rule) {
  if (rule.ports.empty()) return {""};
  std::vector<std::string> out;
  for (Protocol protocol : {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP}) {
    std::vector<std::pair<int, int>> ranges;
    std::set<std::string> named;
    bool all = false;
    for (const auto& p : rule.ports) {
      if (p.protocol != protocol) continue;
      if (!p.name.empty()) {
        named.insert(p.name);
      } else if (p.first == 0) {
        all = true;
      } else {
        ranges.emplace_back(p.first, p.last);
      }
    }
    if (all) {
      out.push_back("meta l4proto " + protocol_text(protocol));
      continue;
    }
    if (!ranges.empty()) out.push_back(protocol_text(protocol) + " dport { " + port_ranges(std::move(ranges)) + " }");
    for (const auto& n : named) out.push_back("ip daddr . meta l4proto . th dport @" + port_set(n, protocol));
  }
  return out;
}

std::string rules_of(Direction direction, const Policy& policy) {
  std::string out;
  const auto& rules = policy.rules(direction);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    for (const auto& who : peer_conditions(direction, rules[i])) {
      for (const auto& what : port_conditions(rules[i])) {
        for (const auto* part : {&who, &what}) out += part->empty() ? "" : *part + " ";
        out += "accept comment \"rule " + std::to_string(i + 1) + "\"\n";
      }
    }
  }
  return out;
}

void add_sets(Direction direction, const Policy& policy, Program& out) {
  for (const auto& rule : policy.rules(direction)) {
    for (const auto& p : rule.peers) {
      if (!p.block && !p.nothing) out.sets[peer_set(p)] = commented("ipv4_addr", p.text());
    }
    for (const auto& p : rule.ports) {
      if (p.name.empty()) continue;
      out.sets[port_set(p.name, p.protocol)] =
          commented("ipv4_addr . inet_proto . inet_service", "port " + p.name + "/" + protocol_text(p.protocol));
    }
  }
}

std::string text_of(const Element& e) {
  return e.data.empty() ? e.key : e.key + " : " + e.data;
}

std::string lines(const std::string& chain, const std::string& rules) {
  std::string out;
  for (std::size_t at = 0; at < rules.size();) {
    auto end = rules.find('\n', at);
    out += "add rule " + std::string(kTable) + " " + chain + " " + rules.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return out;
}

// Elements of one set in as few commands as are not too long.
std::string element_commands(const char* verb, const std::vector<Element>& elements) {
  std::map<std::string, std::vector<std::string>> by_set;
  for (const auto& e : elements) by_set[e.set].push_back(text_of(e));
  std::string out;
  for (const auto& [set, items] : by_set) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      bool first = i % kElementsPerCommand == 0;
      if (first) out += (i ? " }\n" : "") + std::string(verb) + " element " + kTable + " " + set + " { ";
      out += (first ? "" : ", ") + items[i];
    }
    out += " }\n";
  }
  return out;
}

bool ours(const std::string& chain) {
  return chain.starts_with("in/") || chain.starts_with("eg/");
}

bool fixed(const std::string& set) {
  return set == "ingress-pods" || set == "egress-pods" || set == "self";
}

std::string blocked_chain(Direction direction, const ProgramOptions& o) {
  std::string name = "blocked-" + std::string(text(direction));
  std::string out = "flush chain " + std::string(kTable) + " " + name + "\n";
  std::string limit;
  if (o.log_limit_per_second) {
    limit = "limit rate " + std::to_string(o.log_limit_per_second) + "/second burst " +
            std::to_string(o.log_limit_per_second * 2) + " packets ";
  }
  std::string rules;
  if (o.log) {
    rules = limit + "log prefix \"" + std::string(text(direction)) + "\" group " + std::to_string(kLogGroup) +
            " snaplen 128\n";
  }
  return out + lines(name, rules + "drop\n");
}

std::string scalar(const json::Value& v) {
  if (auto s = json::as_str(v); !s.empty()) return std::string(s);
  return std::to_string(json::as_int(v));
}

// As this file writes elements: an address, two of them, or address, protocol and port, whose protocol comes as a
// number.
std::string key_listed(const json::Value& v) {
  const auto& parts = json::list(v, "concat");
  if (parts.empty()) return scalar(v);
  std::string out;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    auto part = scalar(parts[i]);
    if (parts.size() == 3 && i == 1 && parts[i].is_number()) {
      part = protocol_text(static_cast<Protocol>(json::as_int(parts[i])));
    }
    out += (i ? " . " : "") + part;
  }
  return out;
}

}  // namespace

std::string peer_set(const Peer& peer) {
  return "peers/" + hash_of(peer.text());
}
std::string pods_set(const Policy& policy) {
  return name_of("pods/" + policy.key());
}
std::string port_set(const std::string& name, Protocol protocol) {
  return "port/" + name + "/" + protocol_text(protocol);
}
std::string namespace_chain(Direction direction, const std::string& ns) {
  return (direction == Direction::kIngress ? "in/" : "eg/") + ns;
}
std::string policy_chain(Direction direction, const Policy& policy) {
  return name_of(namespace_chain(direction, policy.ns) + "/" + policy.name);
}
const char* pods_map(Direction direction) {
  return direction == Direction::kIngress ? "ingress-pods" : "egress-pods";
}

Program program_of(const Model& model) {
  Program out;
  for (auto direction : {Direction::kIngress, Direction::kEgress}) {
    std::string own = direction == Direction::kIngress ? "ip daddr" : "ip saddr";
    for (const auto& [ns, policies] : model.policies()) {
      std::string dispatch;
      for (const auto& [name, policy] : policies) {
        if (!policy.restricts(direction)) continue;
        out.sets[pods_set(policy)] = commented("ipv4_addr", "pods of " + policy.key());
        out.chains[policy_chain(direction, policy)] = rules_of(direction, policy);
        add_sets(direction, policy, out);
        dispatch += own + " @" + pods_set(policy) + " jump " + policy_chain(direction, policy) + "\n";
      }
      if (dispatch.empty()) continue;
      out.chains[namespace_chain(direction, ns)] = dispatch + "goto blocked-" + std::string(text(direction)) + "\n";
    }
  }
  return out;
}

std::string base_script(const ProgramOptions& o) {
  std::string table(kTable), out = "add table " + table + "\n";
  for (const char* map : {"ingress-pods", "egress-pods"}) {
    out += "add map " + table + " " + map + " { type ipv4_addr : verdict; }\n";
  }
  out += "add set " + table + " self { type ipv4_addr . ipv4_addr; }\n";
  for (auto direction : {Direction::kIngress, Direction::kEgress}) {
    out += "add chain " + table + " blocked-" + std::string(text(direction)) + "\n" + blocked_chain(direction, o);
  }
  // After the chains of others that drop or translate at the same place. What is accepted in one goes on to the next.
  struct Base {
    const char* name;
    int priority;
    const char* look_up;
  };
  for (const auto& b :
       {Base{"egress", 5, "ip saddr vmap @egress-pods"}, Base{"ingress", 6, "ip daddr vmap @ingress-pods"}}) {
    out += "add chain " + table + " " + b.name + " { type filter hook forward priority " + std::to_string(b.priority) +
           "; policy accept; }\nflush chain " + table + " " + b.name + "\n";
    std::string rules = "ct state established,related accept\n";
    // Pods have no IPv6 addresses but those that devices give themselves, which no policy could name.
    rules += "meta nfproto ipv6 iifname \"" + o.bridge + "\" oifname \"" + o.bridge + "\" drop\n";
    rules += "ip saddr . ip daddr @self accept\n";
    out += lines(b.name, rules + b.look_up + "\n");
  }
  return out;
}

std::string element_script(const std::vector<Element>& removed, const std::vector<Element>& added) {
  return element_commands("delete", removed) + element_commands("add", added);
}

std::string change_script(const Program& from, const Program& to) {
  std::string table(kTable), out;
  for (const auto& [name, definition] : to.sets) {
    if (!from.sets.contains(name)) out += "add set " + table + " " + name + " { " + definition + " }\n";
  }
  for (const auto& [name, rules] : to.chains) {
    if (!from.chains.contains(name)) out += "add chain " + table + " " + name + "\n";
  }
  for (const auto& [name, rules] : to.chains) {
    auto at = from.chains.find(name);
    if (at != from.chains.end() && at->second == rules) continue;
    if (at != from.chains.end()) out += "flush chain " + table + " " + name + "\n";
    out += lines(name, rules);
  }
  std::vector<Element> removed, added;
  for (const auto& e : from.elements) {
    // Those of a set that goes as a whole go with it.
    if (!to.elements.contains(e) && (fixed(e.set) || to.sets.contains(e.set))) removed.push_back(e);
  }
  for (const auto& e : to.elements) {
    if (!from.elements.contains(e)) added.push_back(e);
  }
  out += element_script(removed, added);
  std::string flushes, deletions;
  for (const auto& [name, rules] : from.chains) {
    if (to.chains.contains(name)) continue;
    flushes += "flush chain " + table + " " + name + "\n";
    deletions += "delete chain " + table + " " + name + "\n";
  }
  out += flushes + deletions;
  for (const auto& [name, definition] : from.sets) {
    if (!to.sets.contains(name)) out += "delete set " + table + " " + name + "\n";
  }
  return out;
}

Program program_listed(const json::Value& listed) {
  Program out;
  for (const auto& object : json::list(listed, "nftables")) {
    for (const char* kind : {"chain", "set", "map"}) {
      const auto& v = json::at(object, kind);
      if (std::string(json::str(v, "family")) + " " + std::string(json::str(v, "table")) != kTable) continue;
      std::string name(json::str(v, "name"));
      if (std::string_view(kind) == "chain") {
        if (ours(name)) out.chains[name] = "?";
        continue;
      }
      if (!fixed(name)) out.sets[name] = "?";
      for (const auto& item : json::list(v, "elem")) {
        const auto& pair = json::as_array(item);
        if (pair.size() == 2) {
          out.elements.insert({name, key_listed(pair[0]), "goto " + std::string(json::str(pair[1], "goto", "target"))});
        } else {
          out.elements.insert({name, key_listed(item), ""});
        }
      }
    }
  }
  return out;
}

}  // namespace lab::overlay::policy
