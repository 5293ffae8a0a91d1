// InNetwork: the calling thread stands in a lab's network until the end of a scope.
//
// The addresses of an isolated lab (network.h) mean something in its own network namespace alone, and other labs have
// the same ones. So whoever dials a node from outside of it (the API, a NodePort, a port that a student opened) makes
// the socket in there. A socket belongs for life to the namespace in which it was made, whichever thread uses it later;
// threads and processes begin where their maker stands. For a lab on this machine's own network nothing happens.
//
// Never hold one across a co_await: the loop's thread would do other work in the wrong network. Make the socket
// (socket_in), then wait on it wherever you are. Needs root.
#pragma once

#include <utility>

#include "base/result.h"
#include "bootstrap/node/network.h"

namespace lab::bootstrap {

class InNetwork {
 public:
  // Unavailable when the lab's network is not there: it has not been started since the machine was.
  static Result<InNetwork> enter(const LabNetwork& network);
  InNetwork(InNetwork&& other) noexcept : before_(std::exchange(other.before_, -1)) {}
  InNetwork& operator=(InNetwork&&) = delete;
  ~InNetwork();  // on the thread that entered

 private:
  explicit InNetwork(int before) : before_(before) {}
  int before_;  // the namespace to go back to; -1: none was entered
};

// For whole commands: this thread stays there, and so does a program that takes this process's place.
Result<void> move_into(const LabNetwork& network);

// A socket of that network, close-on-exec; `type` as for socket(2), SOCK_NONBLOCK included. The caller closes it.
Result<int> socket_in(const LabNetwork& network, int family, int type);

}  // namespace lab::bootstrap
