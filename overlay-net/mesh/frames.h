// Frames on a control connection: a length of four bytes, and that many bytes of AES-256-GCM (text and 16 bytes of
// tag).
//
// The nonce is the number of the frame in its direction and the length is authenticated, so that a frame that is
// changed, repeated, left out or put elsewhere does not open. Each direction of each connection has a key of its own.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/crypto/packet_cipher.h"
#include "base/result.h"
#include "overlay-net/mesh/gossip.h"

namespace lab::overlay {

// A gossip message and what the mesh adds to it.
inline constexpr std::size_t kMaxFrame = kMaxGossip + 1024;
// Before the other side has shown that it belongs to the mesh; an identity with a chain of certificates fits.
inline constexpr std::size_t kMaxHandshakeFrame = 16 * 1024;

class FrameSealer {
 public:
  explicit FrameSealer(crypto::PacketCipher cipher) : cipher_(std::move(cipher)) {}
  void seal(std::string_view text, std::string& out);  // appends
  std::uint64_t count() const { return count_; }

 private:
  crypto::PacketCipher cipher_;
  std::uint64_t count_ = 0;
};

class FrameOpener {
 public:
  explicit FrameOpener(crypto::PacketCipher cipher) : cipher_(std::move(cipher)) {}
  // Takes the next frame off the front of `bytes`; nothing while it is not complete. kInvalid ends the connection.
  Result<std::optional<std::string>> next(std::string& bytes, std::size_t limit = kMaxFrame);

 private:
  crypto::PacketCipher cipher_;
  std::uint64_t count_ = 0;
};

}  // namespace lab::overlay
