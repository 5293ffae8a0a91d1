#include "base/http/gzip.h"

#include <zlib.h>

#include <algorithm>

namespace lab::http {

std::string gzip(const std::vector<Buffer>& pieces) {
  z_stream z{};
  deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out;
  auto run = [&](std::string_view in, int flush) {
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    z.avail_in = static_cast<uInt>(in.size());
    do {
      std::size_t at = out.size();
      out.resize(at + 64 * 1024);
      z.next_out = reinterpret_cast<Bytef*>(out.data() + at);
      z.avail_out = 64 * 1024;
      deflate(&z, flush);
      out.resize(out.size() - z.avail_out);
    } while (z.avail_out == 0);
  };
  for (const auto& piece : pieces) {
    // avail_in is an unsigned int: larger pieces go in parts.
    for (std::string_view rest = piece ? std::string_view(*piece) : std::string_view(); !rest.empty();) {
      auto part = rest.substr(0, std::size_t{1} << 30);
      run(part, Z_NO_FLUSH);
      rest.remove_prefix(part.size());
    }
  }
  run({}, Z_FINISH);
  deflateEnd(&z);
  return out;
}

Result<std::string> gunzip(std::string_view compressed, std::size_t limit) {
  z_stream z{};
  inflateInit2(&z, 15 + 16);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  z.avail_in = static_cast<uInt>(compressed.size());
  std::string out;
  int rc = Z_OK;
  while (rc == Z_OK && out.size() <= limit) {
    std::size_t at = out.size(), room = std::clamp<std::size_t>(at, 4096, std::size_t{1} << 20);
    out.resize(at + room);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + at);
    z.avail_out = static_cast<uInt>(room);
    rc = inflate(&z, Z_NO_FLUSH);
    out.resize(out.size() - z.avail_out);
    if (rc == Z_STREAM_END && z.avail_in > 0) rc = inflateReset(&z);  // members may follow each other
  }
  inflateEnd(&z);
  if (out.size() > limit) {
    return fail(Code::kTooLarge, "Request entity too large: limit is " + std::to_string(limit));
  }
  if (rc != Z_STREAM_END) return fail(Code::kBadRequest, "the body is not complete gzip data");
  return out;
}

bool accepts_gzip(std::string_view text) {
  while (!text.empty()) {
    auto end = text.find(',');
    std::string_view one = text.substr(0, end);
    text = end == text.npos ? std::string_view() : text.substr(end + 1);
    auto semicolon = one.find(';');
    std::string_view name = one.substr(0, semicolon);
    while (name.starts_with(' ') || name.starts_with('\t')) name.remove_prefix(1);
    while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
    if (!same_name(name, "gzip") && name != "*") continue;
    if (semicolon == one.npos) return true;
    std::string_view q = one.substr(semicolon + 1);
    return q.find_first_of("123456789") != q.npos;
  }
  return false;
}

}  // namespace lab::http
