#include "labs/classroom/server/files.h"

#include <filesystem>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"
#include "base/http/gzip.h"
#include "base/log.h"

namespace lab::classroom {

namespace {

namespace stdfs = std::filesystem;

constexpr std::size_t kWorthZipping = 1024;
constexpr std::string_view kHashed = "/assets/";  // names that change with their content
constexpr const char* kPage = "/index.html";

constexpr const char* kNotBuilt =
    "<!doctype html><meta charset=utf-8><title>lab play</title>"
    "<h1>The page was not built</h1>"
    "<p>The server runs, and its interface under <code>/api/</code> works, but there is no page beside the program. "
    "Build it with npm and build the program again: see labs/web/README.md.</p>\n";

std::string type_of(const std::string& path) {
  static const std::map<std::string, std::string> kTypes{{".html", "text/html; charset=utf-8"},
                                                         {".js", "text/javascript; charset=utf-8"},
                                                         {".mjs", "text/javascript; charset=utf-8"},
                                                         {".css", "text/css; charset=utf-8"},
                                                         {".json", "application/json"},
                                                         {".svg", "image/svg+xml"},
                                                         {".png", "image/png"},
                                                         {".ico", "image/x-icon"},
                                                         {".woff2", "font/woff2"},
                                                         {".webmanifest", "application/manifest+json"},
                                                         {".txt", "text/plain; charset=utf-8"},
                                                         {".map", "application/json"}};
  const auto found = kTypes.find(stdfs::path(path).extension().string());
  return found == kTypes.end() ? "application/octet-stream" : found->second;
}

bool is_text(const std::string& type) {
  return type.starts_with("text/") || type.starts_with("application/json") || type == "image/svg+xml";
}

}  // namespace

Files Files::load(const std::string& directory) {
  Files out;
  std::error_code trouble;
  for (stdfs::recursive_directory_iterator it(directory, trouble), end; !trouble && it != end; it.increment(trouble)) {
    if (!it->is_regular_file() || it->is_symlink()) continue;
    auto text = fs::read_file(it->path().string());
    if (!text) {
      log::warn("a file of the page cannot be read", {{"error", text.error().text()}});
      continue;
    }
    File file;
    file.type = type_of(it->path().string());
    file.etag = "\"" + crypto::hex_encode(crypto::sha256(*text)).substr(0, 20) + "\"";
    file.plain = http::buffer(std::move(*text));
    if (is_text(file.type) && file.plain->size() >= kWorthZipping) file.zipped = http::buffer(http::gzip({file.plain}));
    out.files_["/" + stdfs::relative(it->path(), directory).generic_string()] = std::move(file);
  }
  return out;
}

http::Response Files::answer(const http::Request& request) const {
  if (empty())
    return {
        .status = 503, .headers = {{"Content-Type", "text/html; charset=utf-8"}}, .body = {http::buffer(kNotBuilt)}};
  const std::string path = http::percent_decode(request.path());
  auto found = files_.find(path);
  const bool is_view = path.find('.', path.rfind('/') + 1) == std::string::npos;
  if (found == files_.end() && is_view) found = files_.find(kPage);
  if (found == files_.end()) return http::error_response({Code::kNotFound, "there is no such file"});
  const File& file = found->second;
  http::Response out;
  out.headers = {{"Content-Type", file.type},
                 {"ETag", file.etag},
                 {"Vary", "Accept-Encoding"},
                 {"Cache-Control", path.starts_with(kHashed) ? "public, max-age=31536000, immutable" : "no-cache"}};
  if (request.headers.get("if-none-match") == file.etag) {
    out.status = 304;
    return out;
  }
  if (file.zipped && http::accepts_gzip(request.headers.get("accept-encoding"))) {
    out.headers.add("Content-Encoding", "gzip");
    out.body = {file.zipped};
  } else {
    out.body = {file.plain};
  }
  return out;
}

}  // namespace lab::classroom
