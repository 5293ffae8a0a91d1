// Whether a machine takes SSH connections.
#pragma once

#include <string>

namespace lab::join::vm {

// True when an SSH server greets at that IPv4 address (RFC 4253 4.2). Waits for at most about three seconds.
bool ssh_answers(const std::string& address, int port = 22);

}  // namespace lab::join::vm
