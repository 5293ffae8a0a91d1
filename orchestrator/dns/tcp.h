// DNS messages on a stream: two bytes of length before each (RFC 1035, 4.2.2; RFC 7766).
#pragma once

#include "base/io/stream.h"

namespace lab::dns {

// "" at an orderly end between two messages.
Task<Result<std::string>> read_tcp_message(Stream& stream);
Task<Result<void>> write_tcp_message(Stream& stream, std::string message);

}  // namespace lab::dns
