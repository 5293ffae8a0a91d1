// Session: one pair of AES-256-GCM keys between two peers, one for each direction. KeyRing: the sessions that are in
// use with one peer while keys change.
//
// A packet's nonce is its counter (64 bits, never used twice, from 1 on); each direction has a key of its own. The
// key's id travels in the packet's head, so that packets under the old and the new key may be under way together.
//
// The change of keys loses no packet: a new session is used for sending only after the other side has proven, by an
// authentic packet under it, that it has it too; the old one stays for what is still under way.
// Not thread-safe. Time comes from the caller.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/crypto/packet_cipher.h"
#include "overlay-net/crypto/replay_window.h"

namespace lab::overlay {

struct SessionKeys {
  std::string seal, open;  // crypto::kAesKeyBytes each
};

class Session {
 public:
  enum class Opened { kGood, kForged, kReplayed };

  static Result<std::unique_ptr<Session>> make(std::uint8_t id, const SessionKeys& keys);
  std::uint8_t id() const { return id_; }
  std::uint64_t sealed() const { return counter_; }  // packets so far

  std::uint64_t next_counter() { return ++counter_; }
  // For who has to collect before it can open: what came already need not be collected.
  bool is_new(std::uint64_t counter) const { return window_.is_new(counter); }
  using Part = crypto::PacketCipher::Part;
  void seal(std::uint64_t counter, std::span<const std::uint8_t> head, std::span<const Part> text, std::uint8_t* tag);
  Opened open(std::uint64_t counter, std::span<const std::uint8_t> head, std::span<const Part> text,
              const std::uint8_t* tag);
  // In place.
  void seal(std::uint64_t counter, std::span<const std::uint8_t> head, std::span<std::uint8_t> text,
            std::uint8_t* tag) {
    const Part whole{text.data(), text.data(), text.size()};
    seal(counter, head, std::span(&whole, 1), tag);
  }
  Opened open(std::uint64_t counter, std::span<const std::uint8_t> head, std::span<std::uint8_t> text,
              const std::uint8_t* tag) {
    const Part whole{text.data(), text.data(), text.size()};
    return open(counter, head, std::span(&whole, 1), tag);
  }

 private:
  Session(std::uint8_t id, crypto::PacketCipher seal, crypto::PacketCipher open);

  std::uint8_t id_;
  std::uint64_t counter_ = 0;
  crypto::PacketCipher seal_, open_;
  ReplayWindow window_;
};

class KeyRing {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Limits {
    std::chrono::steady_clock::duration age = std::chrono::minutes(10);
    // Far below what GCM bears under one key with counted nonces (NIST SP 800-38D, 8.3).
    std::uint64_t packets = std::uint64_t(1) << 40;
  };
  explicit KeyRing(Limits limits) : limits_(limits) {}
  KeyRing() : KeyRing(Limits()) {}

  Session* sending() const { return current_.get(); }  // null: none is agreed upon yet
  // A session that this side has but has not yet seen the other side use; null: none.
  Session* pending() const { return next_.get(); }
  Session* receiving(std::uint8_t id) const;  // null: unknown key
  bool uses(std::uint8_t id) const { return receiving(id) != nullptr; }

  void install(std::unique_ptr<Session> next, TimePoint now);
  // An authentic packet came under this key. True when that made the pending session the one to send with.
  bool confirmed(std::uint8_t id, TimePoint now);
  bool due(TimePoint now) const;  // it is time for new keys
  void clear();

 private:
  Limits limits_;
  std::unique_ptr<Session> previous_, current_, next_;
  TimePoint since_{};  // of current_
};

}  // namespace lab::overlay
