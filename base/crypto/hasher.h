// Sha256: the digest of what comes in pieces, for files that are not held in memory. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace lab::crypto {

class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();
  void add(std::string_view bytes);
  std::string finish();  // 32 raw bytes; nothing may be added afterwards

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lab::crypto
