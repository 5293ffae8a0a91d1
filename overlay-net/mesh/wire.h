// Bytes of the mesh's messages: big-endian numbers and counted strings, written and read with bounds.
//
// A Reader never reads past the end: after the first field that does not fit all are zero or empty, and good() is
// false.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "overlay-net/mesh/gossip.h"

namespace lab::overlay {

class Writer {
 public:
  Writer& u8(std::uint8_t v) { return number(v, 1); }
  Writer& u16(std::uint16_t v) { return number(v, 2); }
  Writer& u32(std::uint32_t v) { return number(v, 4); }
  Writer& u64(std::uint64_t v) { return number(v, 8); }
  Writer& name(const PeerName& v) {
    out_.append(reinterpret_cast<const char*>(v.bytes.data()), v.bytes.size());
    return *this;
  }
  // At most 65535 bytes; what is longer is a bug of the caller and is cut.
  Writer& text(std::string_view v) {
    v = v.substr(0, 0xffff);
    u16(static_cast<std::uint16_t>(v.size()));
    out_.append(v);
    return *this;
  }
  Writer& raw(std::string_view v) {
    out_.append(v);
    return *this;
  }
  std::string take() { return std::move(out_); }

 private:
  Writer& number(std::uint64_t v, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) out_ += static_cast<char>(v >> (8 * i));
    return *this;
  }
  std::string out_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  PeerName name() {
    PeerName out;
    auto b = take(out.bytes.size());
    for (std::size_t i = 0; i < b.size(); ++i) out.bytes[i] = static_cast<std::uint8_t>(b[i]);
    return out;
  }
  std::string_view text(std::size_t limit) {
    std::size_t size = u16();
    if (size > limit) good_ = false;
    return take(size);
  }
  std::string_view rest() { return take(left_.size()); }
  bool good() const { return good_; }
  // Everything was read, and nothing is left over.
  bool done() const { return good_ && left_.empty(); }

 private:
  std::string_view take(std::size_t n) {
    if (!good_ || n > left_.size()) {
      good_ = false;
      return {};
    }
    auto out = left_.substr(0, n);
    left_.remove_prefix(n);
    return out;
  }
  std::uint64_t number(std::size_t bytes) {
    std::uint64_t out = 0;
    for (unsigned char c : take(bytes)) out = out << 8 | c;
    return out;
  }
  std::string_view left_;
  bool good_ = true;
};

}  // namespace lab::overlay
