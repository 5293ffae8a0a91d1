// QR codes (ISO/IEC 18004) as SVG. Thread-safe.
#pragma once

#include <string>

#include "base/result.h"

namespace lab::classroom {

// One <svg> of dark squares with the quiet zone around them, error correction M. kTooLarge: more than a code can hold.
Result<std::string> qr_svg(const std::string& text);

}  // namespace lab::classroom
