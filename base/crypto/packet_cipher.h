// PacketCipher: AES-256-GCM (NIST SP 800-38D) over packets, in place, one context per key and no allocation per packet.
//
// A nonce must never come twice under one key: the caller counts. An object is used from one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"

namespace lab::crypto {

class PacketCipher {
 public:
  static constexpr std::size_t kTag = 16, kNonce = 12;

  static Result<PacketCipher> sealing(std::string_view key);  // kInvalid when the key has not 32 bytes
  static Result<PacketCipher> opening(std::string_view key);
  PacketCipher(PacketCipher&&) noexcept;
  PacketCipher& operator=(PacketCipher&&) noexcept;
  ~PacketCipher();

  // Encrypts `text` where it is and writes kTag bytes to `tag`; `head` is authenticated and stays readable.
  void seal(const std::uint8_t* nonce, std::span<const std::uint8_t> head, std::span<std::uint8_t> text,
            std::uint8_t* tag);
  // False when key, nonce, head, text or tag is not what was sealed; `text` is then garbage.
  [[nodiscard]] bool open(const std::uint8_t* nonce, std::span<const std::uint8_t> head, std::span<std::uint8_t> text,
                          const std::uint8_t* tag);

  // The same for a text that lies in parts, read from `in` and written to `out` (the same place, or elsewhere). However
  // it is parted, it is one text. Fastest where each part but the last is a multiple of 16 bytes.
  struct Part {
    const std::uint8_t* in;
    std::uint8_t* out;
    std::size_t size;
  };
  void seal(const std::uint8_t* nonce, std::span<const std::uint8_t> head, std::span<const Part> text,
            std::uint8_t* tag);
  [[nodiscard]] bool open(const std::uint8_t* nonce, std::span<const std::uint8_t> head, std::span<const Part> text,
                          const std::uint8_t* tag);

 private:
  struct Context;
  explicit PacketCipher(std::unique_ptr<Context> context);
  std::unique_ptr<Context> context_;
};

}  // namespace lab::crypto
