// The libvirt driver: the nodes of a local lab as virtual machines (`lab start --driver libvirt`). They are made as
// those of `lab join --vm` are, hold this program in /opt/lab/releases, and are reached over SSH.
#pragma once

#include <memory>
#include <string>

#include "base/netlink/address.h"
#include "bootstrap/node/driver.h"

namespace lab::join::vm {

struct DriverSettings {
  std::string uri;
  std::string profile;  // the lab's name
  std::string bridge;   // of the lab's network
  Cidr subnet;
  std::string image;  // name of a base image, or a file
};
// Nothing is asked of libvirt before the first call.
std::unique_ptr<bootstrap::NodeDriver> make_libvirt_driver(DriverSettings settings);

}  // namespace lab::join::vm
