// The embedded schema: read-only pages of the binary, in the form that tools/schemagen/blob.py describes.
#pragma once

#include <string_view>

namespace lab::api {

std::string_view schema_data();

}  // namespace lab::api
