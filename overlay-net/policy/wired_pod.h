// A pod of this node as the CNI plugin named it, and the address it got.
#pragma once

#include <string>

#include "base/netlink/address.h"

namespace lab::overlay::policy {

struct WiredPod {
  std::string ns, name;
  IpAddress address;
};

}  // namespace lab::overlay::policy
