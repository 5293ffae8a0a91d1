// KeyChange: when a node's WireGuard key gives way to a new one. Pure; time comes from the caller.
//
// Packets that a node sends under a new key are lost until the other side knows it, so nothing is sent that way while
// it changes: first all peers are reached through the sleeve, and are told to send nothing through WireGuard either
// (draining); then comes the new key; then heartbeats find out peer by peer that WireGuard works again.
#pragma once

#include <chrono>

namespace lab::overlay {

class KeyChange {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Limits {
    std::chrono::steady_clock::duration age = std::chrono::hours(24);
    // Long enough for every peer to hear of it: several heartbeats.
    std::chrono::steady_clock::duration drain = std::chrono::seconds(5);
  };
  KeyChange(Limits limits, TimePoint now) : limits_(limits), since_(now) {}

  bool draining() const { return draining_; }
  bool asked() const { return asked_; }
  void ask() { asked_ = true; }  // before its time

  // `safe`: no peer is reached through WireGuard alone. True when the key is to be changed now.
  bool step(TimePoint now, bool safe) {
    if (draining_ && now - since_ >= limits_.drain) {
      draining_ = asked_ = false;
      since_ = now;
      return true;
    }
    if (!draining_ && safe && (asked_ || now - since_ >= limits_.age)) {
      draining_ = true;
      since_ = now;
    }
    return false;
  }

 private:
  Limits limits_;
  TimePoint since_;  // of the key, or of the draining
  bool draining_ = false, asked_ = false;
};

}  // namespace lab::overlay
