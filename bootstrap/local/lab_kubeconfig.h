// The admin's kubeconfig of a lab, for use on this machine.
//
// It lies in a node, where whoever is root there may write what they like: a plug-in to run, a file of this machine to
// send along, another server. So only what identifies is taken from it, the certificates and the key that are written
// out in it; the rest is made anew.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::bootstrap {

// `address`: of the master to talk to; the port is the file's. Invalid when it holds no certificates written out.
Result<std::string> lab_kubeconfig(std::string_view admin_conf, const std::string& address);

}  // namespace lab::bootstrap
