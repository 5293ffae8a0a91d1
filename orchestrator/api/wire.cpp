#include "orchestrator/api/wire.h"

namespace lab::api {

Failure WireReader::bad(std::string_view why) const {
  return fail(Code::kBadRequest, "malformed protobuf at byte " + std::to_string(offset()) + ": " + std::string(why));
}

Result<std::uint64_t> WireReader::varint() {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at_ == bytes_.size()) return bad("a varint is cut off");
    const auto byte = static_cast<unsigned char>(bytes_[at_++]);
    value |= std::uint64_t(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return value;
  }
  return bad("a varint is longer than ten bytes");
}

Result<WireReader::Tag> WireReader::tag() {
  LAB_TRY(const std::uint64_t value, varint());
  const auto type = static_cast<WireType>(value & 7);
  if (value >> 3 == 0 || value >> 32 != 0) return bad("no such field number");
  if (type != WireType::kVarint && type != WireType::kFixed64 && type != WireType::kBytes && type != WireType::kFixed32)
    return bad("wire type " + std::to_string(value & 7) + " is not used by Kubernetes");
  return Tag{static_cast<std::uint32_t>(value >> 3), type};
}

Result<std::uint64_t> WireReader::fixed64() {
  if (bytes_.size() - at_ < 8) return bad("a fixed64 is cut off");
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value |= std::uint64_t(static_cast<unsigned char>(bytes_[at_++])) << (8 * i);
  return value;
}

Result<std::string_view> WireReader::bytes() {
  LAB_TRY(const std::uint64_t size, varint());
  if (size > bytes_.size() - at_) return bad("a field of " + std::to_string(size) + " bytes is cut off");
  const std::string_view value = bytes_.substr(at_, size);
  at_ += size;
  return value;
}

Result<void> WireReader::skip(WireType type) {
  if (type == WireType::kVarint) {
    LAB_CHECK(varint());
  } else if (type == WireType::kBytes) {
    LAB_CHECK(bytes());
  } else {
    const std::size_t size = type == WireType::kFixed64 ? 8 : 4;
    if (bytes_.size() - at_ < size) return bad("a fixed-size field is cut off");
    at_ += size;
  }
  return {};
}

void WireWriter::raw_varint(std::uint64_t value) {
  while (value >= 0x80) {
    out_ += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  out_ += static_cast<char>(value);
}

void WireWriter::fixed64(std::uint32_t number, std::uint64_t value) {
  tag(number, WireType::kFixed64);
  for (int i = 0; i < 8; ++i) out_ += static_cast<char>(value >> (8 * i));
}

void WireWriter::end(std::size_t begun) {
  // Most messages are shorter than 128 bytes: one length byte. The body moves by the length's own size.
  std::uint64_t size = out_.size() - begun;
  char prefix[10];
  std::size_t n = 0;
  for (; size >= 0x80; size >>= 7) prefix[n++] = static_cast<char>(size | 0x80);
  prefix[n++] = static_cast<char>(size);
  out_.insert(begun, prefix, n);
}

}  // namespace lab::api
