// What the model says of a connection, in words: for people who ask, and for the log of blocked connections.
#pragma once

#include <string>

#include "overlay-net/policy/model.h"

namespace lab::overlay::policy {

struct Verdict {
  Judgement egress, ingress;
  bool allowed() const { return egress.allowed() && ingress.allowed(); }
};

Verdict verdict_on(const Model& model, const Flow& flow);

// "prod/db-0 (10.244.2.7)"; the address alone when it is no pod's. With a port: "prod/db-0:5432 (10.244.2.7)".
std::string party_text(const Party& party, std::uint16_t port = 0);
// "from pods app=web in namespace prod, on tcp 80, 8000-8100, http"
std::string rule_text(Direction direction, const Rule& rule);
// "no ingress rule of NetworkPolicy prod/db allows it"
std::string reason_text(const Judgement& judgement);
// "policy: blocked tcp default/web-1 (10.244.1.5) -> prod/db-0:5432 (10.244.2.7): no ingress rule of ..."
std::string blocked_text(const Model& model, Direction direction, const Flow& flow);

// The connection that people mean by "POD" and "POD:PORT": pods as NAME or NAMESPACE/NAME, or addresses; the port as
// its number or, of a pod, its name, with "/udp" or "/sctp" behind it where it is not TCP's. NotFound or Invalid,
// saying which word is wrong.
Result<Flow> flow_of(const Model& model, const std::string& from, const std::string& to, const std::string& default_ns);

// Several lines: both directions, every policy that has a say, every rule with what does not fit, and the outcome.
std::string explain_text(const Model& model, const Flow& flow);

}  // namespace lab::overlay::policy
