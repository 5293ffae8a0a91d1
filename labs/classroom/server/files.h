// The page's files, as the build left them beside the binary. Read once, kept whole and zipped.
#pragma once

#include <map>
#include <string>

#include "base/http/message.h"

namespace lab::classroom {

class Files {
 public:
  // A directory that is not there gives none: every answer then says how to build the page. Blocking.
  static Files load(const std::string& directory);
  // GET and HEAD of a path. A path without an ending that is no file gives the page itself: it knows what to show.
  http::Response answer(const http::Request& request) const;
  bool empty() const { return files_.empty(); }

 private:
  struct File {
    http::Buffer plain, zipped;  // zipped: null where it would not pay
    std::string type, etag;
  };
  std::map<std::string, File> files_;  // by path, "/assets/index-4f2a.js"
};

}  // namespace lab::classroom
