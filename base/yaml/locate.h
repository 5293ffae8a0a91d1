// YAML with the places of its values: for files that people write and are told about by line and column.
//
// Places are found by JSON pointer (RFC 6901): "/networking/podSubnet" is where that key stands, "/list/0" where the
// item begins, "" the document. What came in by alias or merge key has the place of its target alone. Any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace lab::yaml {

struct Place {
  int line = 0, column = 0;  // from 1
};

struct Document {
  json::Value value;
  std::map<std::string, Place> places;
};

// All documents that are not empty; BadRequest with line and column on bad text, or a key that stands twice.
Result<std::vector<Document>> parse_located(std::string_view text);

// "line 4, column 3" of a pointer, or of the nearest value above it that stands in the text.
std::string place_text(const Document& document, std::string pointer);

// A key as one step of a JSON pointer.
std::string pointer_token(std::string_view key);

}  // namespace lab::yaml
