#include "pki/rotation.h"

#include "base/crypto/digest.h"

namespace lab::pki {

constexpr int kFirstPercent = 70, kSpanPercent = 20;

WallTime rotation_time(WallTime begin, WallTime end, const std::string& node_name) {
  const std::string digest = crypto::sha256(node_name);
  const int place = static_cast<unsigned char>(digest[0]) * kSpanPercent / 255;
  const auto life = std::chrono::duration_cast<std::chrono::milliseconds>(end - begin);
  return begin + life * (kFirstPercent + place) / 100;
}

}  // namespace lab::pki
