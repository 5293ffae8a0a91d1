#include "base/result.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace lab {

namespace {

struct Row {
  Code code;
  int status;
  std::string_view reason;
};

constexpr std::array kRows{
    Row{Code::kBadRequest, 400, "BadRequest"},
    Row{Code::kUnauthorized, 401, "Unauthorized"},
    Row{Code::kForbidden, 403, "Forbidden"},
    Row{Code::kNotFound, 404, "NotFound"},
    Row{Code::kMethodNotAllowed, 405, "MethodNotAllowed"},
    Row{Code::kNotAcceptable, 406, "NotAcceptable"},
    Row{Code::kAlreadyExists, 409, "AlreadyExists"},
    Row{Code::kConflict, 409, "Conflict"},
    Row{Code::kGone, 410, "Expired"},
    Row{Code::kTooLarge, 413, "RequestEntityTooLarge"},
    Row{Code::kUnsupportedMedia, 415, "UnsupportedMediaType"},
    Row{Code::kInvalid, 422, "Invalid"},
    Row{Code::kTooManyRequests, 429, "TooManyRequests"},
    Row{Code::kInternal, 500, "InternalError"},
    Row{Code::kUnavailable, 503, "ServiceUnavailable"},
    Row{Code::kTimeout, 504, "Timeout"},
    Row{Code::kCancelled, 499, "Cancelled"},
    Row{Code::kIo, 500, "InternalError"},
};

const Row& row_of(Code code) {
  for (const auto& row : kRows)
    if (row.code == code) return row;
  return kRows[13];
}

}  // namespace

Error Error::with_context(std::string_view context) && {
  message = std::string(context) + ": " + message;
  return std::move(*this);
}

std::string Error::text() const {
  std::string out = message;
  if (sys_errno != 0) out += std::string(": ") + std::strerror(sys_errno);
  if (!hint.empty()) out += "; " + hint;
  return out;
}

Failure fail(Code code, std::string message, std::string hint) {
  return Failure(Error{.code = code, .message = std::move(message), .hint = std::move(hint)});
}

Failure fail_errno(std::string message, std::string hint) {
  return fail_errno(errno, std::move(message), std::move(hint));
}

Failure fail_errno(int err, std::string message, std::string hint) {
  return Failure(
      Error{.code = Code::kIo, .message = std::move(message), .hint = std::move(hint), .sys_errno = err});
}

std::string_view reason_of(Code code) { return row_of(code).reason; }
int http_status_of(Code code) { return row_of(code).status; }

Code code_of(int http_status, std::string_view reason) {
  for (const auto& row : kRows)
    if (row.reason == reason && row.status == http_status) return row.code;
  for (const auto& row : kRows)
    if (row.status == http_status) return row.code;
  return http_status >= 500 ? Code::kInternal : Code::kBadRequest;
}

}  // namespace lab
