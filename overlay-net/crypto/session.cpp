#include "overlay-net/crypto/session.h"

#include <array>

namespace lab::overlay {
namespace {

using Nonce = std::array<std::uint8_t, crypto::PacketCipher::kNonce>;

Nonce nonce_of(std::uint64_t counter) {
  Nonce out{};
  for (std::size_t i = 0; i < 8; ++i) out[out.size() - 1 - i] = static_cast<std::uint8_t>(counter >> (8 * i));
  return out;
}

}  // namespace

Session::Session(std::uint8_t id, crypto::PacketCipher seal, crypto::PacketCipher open)
    : id_(id), seal_(std::move(seal)), open_(std::move(open)) {}

Result<std::unique_ptr<Session>> Session::make(std::uint8_t id, const SessionKeys& keys) {
  if (keys.seal == keys.open) return fail(Code::kInvalid, "both directions of a session have the same key");
  LAB_TRY(auto seal, crypto::PacketCipher::sealing(keys.seal));
  LAB_TRY(auto open, crypto::PacketCipher::opening(keys.open));
  return std::unique_ptr<Session>(new Session(id, std::move(seal), std::move(open)));
}

void Session::seal(std::uint64_t counter, std::span<const std::uint8_t> head, std::span<const Part> text,
                   std::uint8_t* tag) {
  seal_.seal(nonce_of(counter).data(), head, text, tag);
}

Session::Opened Session::open(std::uint64_t counter, std::span<const std::uint8_t> head, std::span<const Part> text,
                              const std::uint8_t* tag) {
  if (!window_.is_new(counter)) return Opened::kReplayed;
  if (!open_.open(nonce_of(counter).data(), head, text, tag)) return Opened::kForged;
  return window_.accept(counter) ? Opened::kGood : Opened::kReplayed;
}

Session* KeyRing::receiving(std::uint8_t id) const {
  for (const auto* s : {&current_, &next_, &previous_}) {
    if (*s && (*s)->id() == id) return s->get();
  }
  return nullptr;
}

void KeyRing::install(std::unique_ptr<Session> next, TimePoint) {
  next_ = std::move(next);
}

bool KeyRing::confirmed(std::uint8_t id, TimePoint now) {
  if (!next_ || next_->id() != id) return false;
  previous_ = std::move(current_);
  current_ = std::move(next_);
  since_ = now;
  return true;
}

bool KeyRing::due(TimePoint now) const {
  return !current_ || now - since_ >= limits_.age || current_->sealed() >= limits_.packets;
}

void KeyRing::clear() {
  previous_.reset();
  current_.reset();
  next_.reset();
}

}  // namespace lab::overlay
