// gzip (RFC 1952) of whole bodies.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/http/message.h"

namespace lab::http {

constexpr std::size_t kGzipThreshold = 128 * 1024;  // responses below are sent as they are, as Kubernetes does

// Fastest level: the point is fewer bytes on the wire, not the smallest file.
std::string gzip(const std::vector<Buffer>& pieces);
// kTooLarge above limit bytes, kBadRequest when it is not gzip.
Result<std::string> gunzip(std::string_view compressed, std::size_t limit);
// Whether an Accept-Encoding takes gzip ("gzip, deflate", "*;q=0.5"; not "gzip;q=0").
bool accepts_gzip(std::string_view accept_encoding);

}  // namespace lab::http
