// Resource quantities: "500m", "1.5Gi", "2e3" (apimachinery's resource.Quantity).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lab::api {

class Quantity {
 public:
  Quantity() = default;
  static Result<Quantity> parse(std::string_view text);
  static Quantity from_milli(std::int64_t milli, bool binary = false);
  std::int64_t milli() const;        // rounded up, saturated
  std::int64_t value() const;        // whole units, rounded up
  std::string canonical() const;     // as Kubernetes prints it: "500m", "128Mi"
  Quantity operator+(const Quantity& other) const;
  Quantity operator-(const Quantity& other) const;
  auto operator<=>(const Quantity& other) const { return nano_ <=> other.nano_; }
  bool operator==(const Quantity& other) const { return nano_ == other.nano_; }
  bool is_zero() const { return nano_ == 0; }

 private:
  __int128 nano_ = 0;                // value * 10^9
  enum Format { kDecimalSI, kBinarySI, kDecimalExponent } format_ = kDecimalSI;
};

}  // namespace lab::api
