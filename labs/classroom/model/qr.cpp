// The only place that knows libqrencode.
#include "labs/classroom/model/qr.h"

#include <qrencode.h>

#include <cerrno>
#include <memory>

namespace lab::classroom {

namespace {

constexpr int kQuiet = 4;  // modules, as the standard asks

}  // namespace

Result<std::string> qr_svg(const std::string& text) {
  const std::unique_ptr<QRcode, decltype(&QRcode_free)> code(QRcode_encodeString8bit(text.c_str(), 0, QR_ECLEVEL_M),
                                                             QRcode_free);
  if (!code && errno == ERANGE) return fail(Code::kTooLarge, "the link is too long for a QR code");
  if (!code) return fail_errno("make a QR code");
  const int width = code->width;
  std::string path;  // runs of dark modules, a row at a time
  for (int y = 0; y < width; ++y)
    for (int x = 0; x < width;) {
      int end = x;
      while (end < width && (code->data[y * width + end] & 1)) ++end;
      if (end > x)
        path += "M" + std::to_string(x + kQuiet) + " " + std::to_string(y + kQuiet) + "h" + std::to_string(end - x) +
                "v1h-" + std::to_string(end - x) + "z";
      x = end + 1;
    }
  const std::string side = std::to_string(width + 2 * kQuiet);
  return "<svg class=\"qr\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + side + " " + side +
         "\" shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"QR\"><rect width=\"" + side + "\" height=\"" +
         side + "\" fill=\"#fff\"/><path d=\"" + path + "\"/></svg>";
}

}  // namespace lab::classroom
