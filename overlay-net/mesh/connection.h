// One control connection of a Mesh, from the dial or the accept to its end. For mesh*.cpp only.
#pragma once

#include "overlay-net/mesh/mesh.h"

namespace lab::overlay {

struct Mesh::Connection {
  LinkId id = 0;
  bool dialled = false;
  std::string target;   // what was dialled; empty for one that was accepted
  std::string address;  // of the other end
  std::unique_ptr<Stream> stream;
  std::optional<MeshSession> session;
  std::optional<PeerIdentity> remote;  // once admitted
  TimePoint since;                     // admitted
  std::deque<Message> queue;
  std::size_t queued = 0;  // bytes
  Event more;
  bool closed = false;
  std::optional<Error> why;  // the first reason
};

}  // namespace lab::overlay
