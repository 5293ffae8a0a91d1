// CNI's error object and its codes (CNI specification, "Error").
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace lab::overlay {

enum CniCode {
  kCniIncompatibleVersion = 1,
  kCniUnknownContainer = 3,
  kCniInvalidEnvironment = 4,
  kCniIo = 5,
  kCniDecode = 6,
  kCniInvalidConfig = 7,
  kCniTryAgainLater = 11,
  kCniNoAddress = 100,  // from 100 on: ours
  kCniWrongState = 101,
};

struct CniError {
  int code = kCniIo;
  std::string message, details;
};

inline std::unexpected<CniError> cni_fail(int code, std::string message, std::string details = {}) {
  return std::unexpected(CniError{code, std::move(message), std::move(details)});
}

inline std::unexpected<CniError> cni_fail(const Error& e) {
  int code = kCniIo;
  if (e.code == Code::kUnavailable || e.code == Code::kTimeout) code = kCniTryAgainLater;
  if (e.code == Code::kNotFound) code = kCniUnknownContainer;
  if (e.code == Code::kTooManyRequests) code = kCniNoAddress;
  return cni_fail(code, e.text());
}

inline std::string error_text(const CniError& e, std::string_view version) {
  json::Object out{{"cniVersion", version}, {"code", e.code}, {"msg", e.message}};
  if (!e.details.empty()) out["details"] = e.details;
  return json::dump(out);
}

}  // namespace lab::overlay
