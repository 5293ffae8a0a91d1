#include "overlay-net/policy/explain.h"

namespace lab::overlay::policy {
namespace {

std::string port_text(const Port& p) {
  std::string out = protocol_text(p.protocol) + " ";
  if (!p.name.empty()) return out + p.name;
  if (p.first == 0) return out + "all ports";
  return out + std::to_string(p.first) + (p.last == p.first ? "" : "-" + std::to_string(p.last));
}

std::string labels_text(const Pod& pod) {
  if (!pod.known) return "not known yet";
  std::string out;
  for (const auto& [key, value] : pod.labels) {
    out += (out.empty() ? "" : ",") + std::string(key) + "=" + std::string(json::as_str(value));
  }
  return out.empty() ? "none" : out;
}

std::string names_of(const std::vector<const Policy*>& policies) {
  std::string out;
  for (const auto* p : policies) out += (out.empty() ? "" : ", ") + p->key();
  return (policies.size() == 1 ? "NetworkPolicy " : "NetworkPolicies ") + out;
}

// Why this rule does not let the connection pass.
std::string mismatch_text(const Model& model, Direction direction, const Rule& rule, const Flow& flow) {
  bool ingress = direction == Direction::kIngress;
  const auto& other = ingress ? flow.source : flow.destination;
  bool peers = model.peers_match(rule, other), ports = Model::ports_match(rule, flow);
  std::string who = ingress ? "the source" : "the destination";
  std::string what = protocol_text(flow.protocol) + (flow.port ? " port " + std::to_string(flow.port) : "");
  if (peers && ports) return "allows it";
  std::string out;
  if (!peers) out = who + " is not among them";
  if (!ports) out += (out.empty() ? "" : ", and ") + what + " is not among the ports";
  return out;
}

std::string direction_text(const Model& model, const Judgement& j, const Flow& flow) {
  bool ingress = j.direction == Direction::kIngress;
  const auto& own = ingress ? flow.destination : flow.source;
  std::string out = (ingress ? "Ingress to " : "Egress from ") + party_text(own) + ": ";
  out += std::string(j.allowed() ? "allowed" : "DENIED") + ", " + reason_text(j) + "\n";
  if (own.pod && !own.pod->host_network) out += "  labels: " + labels_text(*own.pod) + "\n";
  if (j.why == Why::kSelf || j.why == Why::kOwnNode) return out;
  for (const auto* policy : j.policies) {
    const auto& rules = policy->rules(j.direction);
    out += "  NetworkPolicy " + policy->key() + " selects it";
    out += rules.empty() ? " and has no " + std::string(text(j.direction)) + " rule\n" : "\n";
    for (std::size_t i = 0; i < rules.size(); ++i) {
      out += "    rule " + std::to_string(i + 1) + " " + rule_text(j.direction, rules[i]) + ": " +
             mismatch_text(model, j.direction, rules[i], flow) + "\n";
    }
    for (const auto& p : policy->problems) out += "    not understood: " + p + "\n";
  }
  return out;
}

Result<Party> party_of(const Model& model, const std::string& word, const std::string& default_ns) {
  if (auto address = IpAddress::parse(word)) return Party{*address, model.pod_at(*address)};
  auto key = word.find('/') == std::string::npos ? default_ns + "/" + word : word;
  const auto* pod = model.pod(key);
  if (!pod) {
    return fail(Code::kNotFound, "there is no pod " + key,
                "name it as NAMESPACE/POD, or give an address; kubectl get pods -A");
  }
  if (pod->host_network && !pod->node_address.empty()) return Party{pod->node_address, pod};
  if (pod->addresses.empty()) {
    return fail(Code::kUnavailable, "pod " + key + " has no address", "it has not started yet, or has ended");
  }
  return Party{pod->addresses.front(), pod};
}

Result<std::uint16_t> port_of(const std::string& word, const Party& party, Protocol protocol) {
  int number = 0;
  for (char c : word) number = c >= '0' && c <= '9' && number >= 0 && number <= 65535 ? number * 10 + (c - '0') : -1;
  if (!word.empty() && number > 0 && number <= 65535) return static_cast<std::uint16_t>(number);
  if (party.pod) {
    for (const auto& p : party.pod->ports) {
      if (p.name == word && p.protocol == protocol) return p.number;
    }
  }
  return fail(Code::kInvalid, "'" + word + "' is no port" + (party.pod ? " of pod " + party.pod->key() : ""),
              "a number from 1 to 65535, or the name of a container's port");
}

}  // namespace

Verdict verdict_on(const Model& model, const Flow& flow) {
  return {model.judge(Direction::kEgress, flow), model.judge(Direction::kIngress, flow)};
}

std::string party_text(const Party& party, std::uint16_t port) {
  std::string suffix = port ? ":" + std::to_string(port) : "";
  if (!party.pod) return party.address.text() + suffix;
  return party.pod->key() + suffix + " (" + party.address.text() + ")";
}

std::string rule_text(Direction direction, const Rule& rule) {
  std::string out = direction == Direction::kIngress ? "from " : "to ";
  if (rule.peers.empty()) out += "everybody";
  for (std::size_t i = 0; i < rule.peers.size(); ++i) out += (i ? "; " : "") + rule.peers[i].text();
  if (rule.ports.empty()) return out;
  out += ", on ";
  for (std::size_t i = 0; i < rule.ports.size(); ++i) out += (i ? ", " : "") + port_text(rule.ports[i]);
  return out;
}

std::string reason_text(const Judgement& j) {
  std::string direction(text(j.direction));
  switch (j.why) {
    case Why::kFree:
      return "no NetworkPolicy selects it for " + direction;
    case Why::kSelf:
      return "a pod always reaches itself";
    case Why::kOwnNode:
      return "a pod and its own node always reach one another";
    case Why::kRule:
      return direction + " rule " + std::to_string(j.rule + 1) + " of NetworkPolicy " + j.by->key() + " allows it";
    case Why::kNoRule:
      return "no " + direction + " rule of " + names_of(j.policies) + " allows it";
    case Why::kUnknown:
      return "the labels of " + std::string("the pod are not known yet, and ") + names_of(j.policies) +
             " may select it";
  }
  return {};
}

std::string blocked_text(const Model& model, Direction direction, const Flow& flow) {
  auto judgement = model.judge(direction, flow);
  auto reason = judgement.allowed() ? "the rules of then did not allow it, those of now do" : reason_text(judgement);
  return "policy: blocked " + protocol_text(flow.protocol) + " " + party_text(flow.source) + " -> " +
         party_text(flow.destination, flow.port) + ": " + reason;
}

Result<Flow> flow_of(const Model& model, const std::string& from, const std::string& to,
                     const std::string& default_ns) {
  auto colon = to.rfind(':');
  if (colon == std::string::npos) {
    return fail(Code::kInvalid, "'" + to + "' names no port", "as in prod/db-0:5432, or prod/dns-0:53/udp");
  }
  Flow out;
  std::string port = to.substr(colon + 1);
  if (auto slash = port.find('/'); slash != std::string::npos) {
    auto protocol = protocol_from(port.substr(slash + 1));
    if (!protocol) return fail(Code::kInvalid, "'" + port.substr(slash + 1) + "' is none of tcp, udp and sctp");
    out.protocol = *protocol;
    port.resize(slash);
  }
  LAB_TRY(out.source, party_of(model, from, default_ns));
  LAB_TRY(out.destination, party_of(model, to.substr(0, colon), default_ns));
  LAB_TRY(out.port, port_of(port, out.destination, out.protocol));
  return out;
}

std::string explain_text(const Model& model, const Flow& flow) {
  auto verdict = verdict_on(model, flow);
  std::string out = protocol_text(flow.protocol) + " " + party_text(flow.source) + " -> " +
                    party_text(flow.destination, flow.port) + "\n";
  out += direction_text(model, verdict.egress, flow) + direction_text(model, verdict.ingress, flow);
  if (verdict.allowed()) return out + "Result: allowed\n";
  bool both = !verdict.egress.allowed() && !verdict.ingress.allowed();
  return out + "Result: DENIED by " +
         (both                       ? "egress and ingress"
          : verdict.egress.allowed() ? "ingress"
                                     : "egress") +
         " rules\n";
}

}  // namespace lab::overlay::policy
