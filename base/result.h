// Result<T>: the return type of everything that can fail for a reason outside the program.
//
// An Error says what failed (message), on what and on the way to what (context, outermost first), why (sys_errno where
// the kernel gave a reason) and what to do next (hint). Its Code maps one to one to a Kubernetes Status reason, so that
// an error made anywhere can be sent to an API client unchanged. Exceptions are for bugs only.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace lab {

enum class Code {
  kBadRequest,          // 400 BadRequest
  kUnauthorized,        // 401 Unauthorized
  kForbidden,           // 403 Forbidden
  kNotFound,            // 404 NotFound
  kMethodNotAllowed,    // 405 MethodNotAllowed
  kNotAcceptable,       // 406 NotAcceptable
  kAlreadyExists,       // 409 AlreadyExists
  kConflict,            // 409 Conflict (resourceVersion or uid precondition)
  kGone,                // 410 Expired (revision compacted)
  kTooLarge,            // 413 RequestEntityTooLarge
  kUnsupportedMedia,    // 415 UnsupportedMediaType
  kInvalid,             // 422 Invalid (validation)
  kTooManyRequests,     // 429 TooManyRequests
  kInternal,            // 500 InternalError
  kUnavailable,         // 503 ServiceUnavailable
  kTimeout,             // 504 Timeout
  kCancelled,           // the caller gave up; never sent
  kIo,                  // a system call failed; 500 when sent
};

struct Error {
  Code code = Code::kInternal;
  std::string message;
  std::string hint;       // what the person should do next; may be empty
  int sys_errno = 0;      // 0 where no system call was involved
  std::string details;    // Status.details as JSON text; empty unless an API server gave or gives them

  // The same error as seen from further out: "CONTEXT: message".
  Error with_context(std::string_view context) &&;
  // One line for people: message, the system's reason, then the hint.
  std::string text() const;
};

template <class T = void>
using Result = std::expected<T, Error>;
using Failure = std::unexpected<Error>;

Failure fail(Code code, std::string message, std::string hint = {});
// Error of a failed system call; reads errno (or takes it) and appends its text when shown.
Failure fail_errno(std::string message, std::string hint = {});
Failure fail_errno(int err, std::string message, std::string hint = {});

std::string_view reason_of(Code code);   // "NotFound", as Status.reason
int http_status_of(Code code);           // 404
Code code_of(int http_status, std::string_view reason);

}  // namespace lab

#define LAB_CONCAT_(a, b) a##b
#define LAB_CONCAT(a, b) LAB_CONCAT_(a, b)

// LAB_TRY(auto x, call());   assigns the value or returns the error from this function.
#define LAB_TRY(decl, ...) LAB_TRY_(LAB_CONCAT(lab_try_, __LINE__), return, decl, __VA_ARGS__)
// LAB_CHECK(call());         returns the error of a Result<void> from this function.
#define LAB_CHECK(...) LAB_CHECK_(LAB_CONCAT(lab_try_, __LINE__), return, __VA_ARGS__)
// The same in coroutines.
#define LAB_CO_TRY(decl, ...) LAB_TRY_(LAB_CONCAT(lab_try_, __LINE__), co_return, decl, __VA_ARGS__)
#define LAB_CO_CHECK(...) LAB_CHECK_(LAB_CONCAT(lab_try_, __LINE__), co_return, __VA_ARGS__)

#define LAB_TRY_(tmp, ret, decl, ...)                              \
  auto tmp = __VA_ARGS__;                                          \
  if (!tmp) ret ::std::unexpected(::std::move(tmp).error());       \
  decl = *::std::move(tmp)
#define LAB_CHECK_(tmp, ret, ...) \
  if (auto tmp = __VA_ARGS__; !tmp) ret ::std::unexpected(::std::move(tmp).error())
