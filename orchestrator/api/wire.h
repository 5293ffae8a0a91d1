// Protocol Buffers wire format: reading and writing tags, varints and length-delimited fields.
// Source: protobuf.dev/programming-guides/encoding. Groups are refused; Kubernetes does not use them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::api {

enum class WireType : std::uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

class WireReader {
 public:
  // `origin` is where `bytes` starts in the whole body, for error messages.
  explicit WireReader(std::string_view bytes, std::size_t origin = 0) : bytes_(bytes), origin_(origin) {}
  bool done() const { return at_ == bytes_.size(); }
  std::size_t offset() const { return origin_ + at_; }

  struct Tag {
    std::uint32_t number;
    WireType type;
  };
  Result<Tag> tag();
  Result<std::uint64_t> varint();
  Result<std::uint64_t> fixed64();
  Result<std::string_view> bytes();  // a view into the input
  Result<void> skip(WireType type);

 private:
  Failure bad(std::string_view why) const;
  std::string_view bytes_;
  std::size_t at_ = 0, origin_;
};

class WireWriter {
 public:
  void varint(std::uint32_t number, std::uint64_t value) {
    tag(number, WireType::kVarint);
    raw_varint(value);
  }
  void fixed64(std::uint32_t number, std::uint64_t value);
  void bytes(std::uint32_t number, std::string_view value) {
    tag(number, WireType::kBytes);
    raw_varint(value.size());
    out_ += value;
  }
  // A nested message: begin, write its fields, end. The length is put in afterwards.
  std::size_t begin(std::uint32_t number) {
    tag(number, WireType::kBytes);
    return out_.size();
  }
  void end(std::size_t begun);
  std::string take() && { return std::move(out_); }
  std::size_t size() const { return out_.size(); }
  void append(std::string_view raw) { out_ += raw; }

 private:
  void tag(std::uint32_t number, WireType type) { raw_varint(number << 3 | static_cast<std::uint32_t>(type)); }
  void raw_varint(std::uint64_t value);
  std::string out_;
};

}  // namespace lab::api
