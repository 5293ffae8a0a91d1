// One DNS question (RFC 1035), to see whether a name server answers. Blocking, for commands.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::overlay {

struct DnsAnswer {
  int rcode = 0;                       // 0: no error, 3: no such name
  std::vector<std::string> addresses;  // of A records
  std::chrono::microseconds took{};
};

std::string dns_query(const std::string& name, std::uint16_t id);  // for an A record
// kInvalid when it is no answer to the query of that id, or is cut short.
Result<DnsAnswer> parse_dns_answer(std::string_view bytes, std::uint16_t id);
// Asks over UDP, twice at most. kTimeout when nobody answers.
Result<DnsAnswer> ask_dns(const std::string& server, const std::string& name, std::chrono::milliseconds limit);

}  // namespace lab::overlay
