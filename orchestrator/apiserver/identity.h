// Identity: who makes a request; Authenticator: how the server learns it.
//
// Synchronous and thread-safe: every authenticator decides from the request and from what the caches hold.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/http/message.h"
#include "base/result.h"

namespace lab::apiserver {

struct Identity {
  std::string username;  // "system:node:n1", "kubernetes-admin", "system:serviceaccount:NS:NAME"
  std::string uid;       // of the ServiceAccount; empty where there is none
  std::vector<std::string> groups;
  std::vector<std::pair<std::string, std::vector<std::string>>> extra;  // keys in lower case

  bool in_group(std::string_view group) const { return std::ranges::find(groups, group) != groups.end(); }
  bool anonymous() const { return username == "system:anonymous"; }
};

// Groups and names that the server itself gives (kube's user package).
inline constexpr std::string_view kMastersGroup = "system:masters";
inline constexpr std::string_view kNodesGroup = "system:nodes";
inline constexpr std::string_view kAuthenticatedGroup = "system:authenticated";
inline constexpr std::string_view kUnauthenticatedGroup = "system:unauthenticated";
inline constexpr std::string_view kAnonymousUser = "system:anonymous";
inline constexpr std::string_view kNodeUserPrefix = "system:node:";
inline constexpr std::string_view kServiceAccountUserPrefix = "system:serviceaccount:";

class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // Empty when the request carries no credential that this authenticator knows; kUnauthorized (401) when it carries one
  // that is bad: the message says what is wrong with it (expired at ..., unknown, another cluster's key). A complete
  // chain (authn/authenticator.h) never answers empty: it ends with system:anonymous or with 401.
  virtual Result<std::optional<Identity>> authenticate(const http::Request& request) const = 0;
};

}  // namespace lab::apiserver
