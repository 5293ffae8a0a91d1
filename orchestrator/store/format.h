// The version of the embedded store's file, and who wrote it.
#pragma once

#include <memory>
#include <string>

#include "orchestrator/store/store.h"

namespace lab::store {

// Files of earlier versions are brought to this one when they are opened; those of later ones are refused.
inline constexpr int kFormat = 2;

// open_embedded(), and `program` ("lab v0.1.0") is kept in the file, for whoever cannot read it one day.
Result<std::unique_ptr<Store>> open_embedded(EmbeddedOptions options, std::string program);

// The version of a file, which may be in use, or of a version that this program cannot read. NotFound when there is none;
// kIo when it is no SQLite file.
Result<int> format_of(const std::string& path);

}  // namespace lab::store
