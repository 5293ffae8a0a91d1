// Leader election by a coordination.k8s.io Lease, after client-go's leaderelection: of several that ask, one leads.
//
// The holder renews before `renew_deadline` has passed without success, or gives up leading; others take over when they
// have seen no renewal for `lease_duration` of their own monotonic clock. So clocks need not agree between machines.
// One loop.
#pragma once

#include <functional>
#include <string>

#include "orchestrator/client/client.h"

namespace lab::client {

struct LeaseOptions {
  std::string ns = "kube-system";
  std::string name;
  std::string identity;                                // unique per process: host name and a random part
  Duration lease_duration = std::chrono::seconds(15);  // longer than renew_deadline
  Duration renew_deadline = std::chrono::seconds(10);
  Duration retry_period = std::chrono::seconds(2);
};

// Waits for the lease, runs `lead` with a token that stops when the lease is lost or `stop` is requested, and waits for
// it to end. Returns then: true when `stop` ended it (the lease was released for the next one), false when the lease
// was lost, or `lead` ended by itself.
Task<bool> lead_while_holding(Client& client, LeaseOptions options, std::function<Task<void>(std::stop_token)> lead,
                              std::stop_token stop);

}  // namespace lab::client
