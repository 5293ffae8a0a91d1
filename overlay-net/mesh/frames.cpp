#include "overlay-net/mesh/frames.h"

#include <array>
#include <cstring>

namespace lab::overlay {
namespace {

constexpr std::size_t kHead = 4;
using Nonce = std::array<std::uint8_t, crypto::PacketCipher::kNonce>;

Nonce nonce_of(std::uint64_t count) {
  Nonce out{};
  for (int i = 0; i < 8; ++i) out[11 - i] = static_cast<std::uint8_t>(count >> (8 * i));
  return out;
}

std::uint8_t* raw(std::string& s, std::size_t at) {
  return reinterpret_cast<std::uint8_t*>(s.data()) + at;
}

}  // namespace

void FrameSealer::seal(std::string_view text, std::string& out) {
  const auto start = out.size();
  const auto size = text.size() + crypto::PacketCipher::kTag;
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(size >> shift);
  out.append(text);
  out.resize(out.size() + crypto::PacketCipher::kTag);
  auto nonce = nonce_of(count_++);
  cipher_.seal(nonce.data(), {raw(out, start), kHead}, {raw(out, start + kHead), text.size()},
               raw(out, start + kHead + text.size()));
}

Result<std::optional<std::string>> FrameOpener::next(std::string& bytes, std::size_t limit) {
  std::optional<std::string> none;
  if (bytes.size() < kHead) return none;
  std::size_t size = 0;
  for (std::size_t i = 0; i < kHead; ++i) size = size << 8 | static_cast<std::uint8_t>(bytes[i]);
  if (size < crypto::PacketCipher::kTag || size > limit + crypto::PacketCipher::kTag) {
    return fail(Code::kInvalid, "a frame of " + std::to_string(size) + " bytes");
  }
  if (bytes.size() < kHead + size) return none;
  const auto text_size = size - crypto::PacketCipher::kTag;
  auto nonce = nonce_of(count_);
  if (!cipher_.open(nonce.data(), {raw(bytes, 0), kHead}, {raw(bytes, kHead), text_size},
                    raw(bytes, kHead + text_size))) {
    return fail(Code::kUnauthorized,
                "frame " + std::to_string(count_) + " does not open: another key, changed, or sent again");
  }
  ++count_;
  std::optional<std::string> out(bytes.substr(kHead, text_size));
  bytes.erase(0, kHead + size);
  return out;
}

}  // namespace lab::overlay
