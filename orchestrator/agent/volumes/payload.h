// The files of configMap, secret, downwardAPI and projected volumes, out of the objects they name. Pure; any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "orchestrator/agent/env.h"
#include "orchestrator/agent/volumes/atomic_writer.h"

namespace lab::agent {

struct TokenRef {
  std::string audience;
  std::int64_t expiration_seconds = 3600;
  auto operator<=>(const TokenRef&) const = default;
};
using Tokens = std::map<TokenRef, std::string>;

// What a volume of the spec needs before its files can be made.
std::vector<ObjectRef> volume_references(const json::Value& volume);
std::vector<TokenRef> token_references(const json::Value& volume);
// True for the four kinds whose files the agent writes.
bool has_payload(const json::Value& volume);

// kNotFound with the kubelet's wording when an object or key is missing and not optional.
Result<std::vector<PayloadFile>> payload_of(const json::Value& pod, const json::Value& volume,
                                            const FetchedObjects& objects, const Tokens& tokens, const PodFacts& facts);

}  // namespace lab::agent
