// The steps of a request and its response that do not depend on the HTTP version.
#include <ctime>

#include "base/http/connection.h"
#include "base/http/gzip.h"
#include "base/log.h"

namespace lab::http {

Failure client_gone() {
  return fail(Code::kCancelled, "the client has gone");
}

Task<bool> run_handler(const Handler& handler, Request request, ResponseWriter& writer) {
  std::string line = request.method + " " + request.target;
  try {
    co_await handler(std::move(request), writer);
    co_return true;
  } catch (const std::exception& e) {
    log::error("bug: an HTTP handler ended with an exception", {{"request", line}, {"what", e.what()}});
    co_return false;
  }
}

Result<void> decode_body(Request& request, std::size_t limit) {
  auto encoding = request.headers.get("content-encoding");
  if (encoding.empty() || same_name(encoding, "identity") || request.body.empty()) return {};
  if (!same_name(encoding, "gzip")) {
    return fail(Code::kUnsupportedMedia, "Content-Encoding " + std::string(encoding) + " is not supported; use gzip");
  }
  LAB_TRY(request.body, gunzip(request.body, limit));
  request.headers.remove("content-encoding");
  request.headers.set("content-length", std::to_string(request.body.size()));
  return {};
}

Task<void> encode_body(Shared& shared, bool client_takes_gzip, Response& response) {
  if (!client_takes_gzip || response.headers.has("content-encoding")) co_return;
  std::size_t size = 0;
  for (const auto& b : response.body) size += b ? b->size() : 0;
  if (size < kGzipThreshold) co_return;
  auto pieces = response.body;
  auto packed = co_await shared.compressors.run([pieces] { return gzip(pieces); });
  response.body = {buffer(std::move(packed))};
  response.headers.remove("content-length");
  response.headers.set("Content-Encoding", "gzip");
  response.headers.add("Vary", "Accept-Encoding");
}

bool has_no_body(int status) {
  return status < 200 || status == 204 || status == 304;
}

std::string_view date_value() {
  static thread_local std::time_t shown = 0;
  static thread_local char text[40];
  std::time_t now = std::time(nullptr);
  if (now != shown) {
    shown = now;
    std::tm tm{};
    gmtime_r(&now, &tm);
    std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
  }
  return text;
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Request Entity Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Entity";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

}  // namespace lab::http
