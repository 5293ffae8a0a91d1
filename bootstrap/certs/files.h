// Files of certificates, for this folder.
#pragma once

#include <string>

#include "bootstrap/certs/certs.h"

namespace lab::bootstrap::certs {

// So that owner and mode stay; `mode` is for a file that is not there yet.
Result<void> replace_file(const std::string& path, const std::string& content, unsigned mode);

std::string certificate_path(const Row& row, const Places& places);
// PEM, also out of a kubeconfig.
Result<std::string> certificate_of(const Row& row, const Places& places);

}  // namespace lab::bootstrap::certs
