// The NodePorts of a lab's Services, as links for its student.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "labs/exercises/evaluator.h"

namespace lab::classroom {

// The checks, and one more that looks at all Services, so that a feed of them tells of these, too.
std::vector<exercises::Check> with_services(std::vector<exercises::Check> checks);

// One entry of the part "ports" of a student's state; `service`: "default/webui", or "" for a program of the node's
// own.
json::Value port_link(const std::string& student, const std::string& node, std::int64_t port,
                      const std::string& service, int ports_port);

// The part "ports" of a student's state, as far as Services make it. Links lead to this server's second port, on
// whatever host the page was reached by: they begin with kAnyHost, which for_host() replaces.
Result<json::Array> node_ports(exercises::Evaluator& lab, const std::string& student, int ports_port);
// The same, of Services as the API lists them.
json::Array ports_of(const json::Value& services, const std::string& node, const std::string& student, int ports_port);

inline constexpr const char* kAnyHost = "http://@";
// The frame with the links as a page on this host (a Host field, "lab.school:8080") can follow them.
std::string for_host(const std::string& frame, std::string_view host_field, bool tls);

}  // namespace lab::classroom
