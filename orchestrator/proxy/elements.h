// Internal: the elements and chains of one frontend, as nftables writes them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "orchestrator/proxy/frontend.h"
#include "orchestrator/proxy/ruleset.h"

namespace lab::proxy {

inline constexpr const char* kTable = "ip lab-proxy";
inline constexpr const char* kAffinityMap = "affinity";

std::string target_text(const Target& target);  // "10.244.1.5 . 8080"
std::string key_text(const FrontendKey& key);   // "10.96.3.7 . tcp . 80" or "tcp . 30080"
// One map per protocol: nftables ties a map of typed ports to one.
std::string endpoint_map(Space space, Protocol protocol);
Element slot_element(const FrontendKey& key, std::size_t slot, const Target& target);
std::vector<Element> frontend_elements(const Frontend& f);  // all but the slots
std::string chain_name(const Frontend& f);
// Commands that make the chain; to be run once.
std::string chain_script(const Frontend& f);
// Commands that make what the sticky chain of this timeout needs.
std::string remember_chain(int seconds);
std::string remember_script(int seconds);
// The table with its sets, its empty maps and the rules that every node has; what is there already stays.
std::string base_script();
Element pod_cidr_element(const Cidr& cidr);

}  // namespace lab::proxy
