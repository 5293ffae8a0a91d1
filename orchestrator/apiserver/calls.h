// Calls: subresources and virtual kinds that are answered by a function instead of being stored.
//
// Reviews (TokenReview, SubjectAccessReview...), serviceaccounts/token, pods/binding, pods/eviction. The engine has
// parsed, normalised and defaulted the body, checked its kind and authorised the request; it encodes the answer.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/http/message.h"
#include "base/io/loop.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/apiserver/identity.h"
#include "orchestrator/apiserver/object_reader.h"
#include "orchestrator/apiserver/object_writer.h"

namespace lab::apiserver {

struct Call {
  Identity user;
  api::KindPtr kind;  // of the resource in the path: serviceaccounts for serviceaccounts/token
  std::string verb;   // create, get, update...
  std::string ns, name, subresource;
  http::Query query;
  json::Value body;  // null where the request had none
  bool dry_run = false;
  WallTime now;
  const ObjectReader& reader;
  ObjectWriter& writer;
  std::vector<std::string> warnings;
  int status = 201;  // of the answer
};

using CallHandler = std::function<Task<Result<json::Value>>(Call&)>;

class CallTable {
 public:
  // For every version of the group; `subresource` "" is the (virtual) resource itself.
  void add(std::string group, std::string plural, std::string subresource, CallHandler handler) {
    handlers_[{std::move(group), std::move(plural), std::move(subresource)}] = std::move(handler);
  }
  const CallHandler* find(const std::string& group, const std::string& plural, const std::string& subresource) const {
    auto it = handlers_.find({group, plural, subresource});
    return it == handlers_.end() ? nullptr : &it->second;
  }

 private:
  std::map<std::tuple<std::string, std::string, std::string>, CallHandler> handlers_;
};

}  // namespace lab::apiserver
