// lab play --tls: which certificate the classroom shows.
#pragma once

#include <optional>
#include <string>

#include "cli/command.h"
#include "labs/classroom/server/certificate.h"

namespace lab::cli {

// An address by which other machines reach this one; loopback's where there is none.
std::string own_address();

// As --tls, --tls-cert and --tls-key say; none for plain HTTP. One of the classroom's own is made for all names and
// addresses of this machine, the one that is listened on, and those under which classes are reached.
Result<std::optional<classroom::Certificate>> play_certificate(const Invocation& in, const std::string& listen_address);

}  // namespace lab::cli
