#include "bootstrap/common/images.h"

#include <algorithm>
#include <chrono>
#include <sstream>

#include "base/fs.h"
#include "base/subprocess.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kPauseImage = "registry.k8s.io/pause:3.10";
constexpr auto kImportLimit = std::chrono::minutes(5);

Result<std::string> ctr(const std::string& socket, std::vector<std::string> args) {
  const std::string path = socket.starts_with("unix://") ? socket.substr(7) : socket;
  args.insert(args.begin(), {"ctr", "--address", path, "--namespace", "k8s.io", "images"});
  return run_checked({.argv = std::move(args), .timeout = kImportLimit});
}

bool has_line(const std::string& text, const std::string& wanted) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line == wanted) return true;
  return false;
}

}  // namespace

std::string image_destination(const std::string& socket) {
  return fs::exists(kImagesMark) || !socket.ends_with(kContainerdSocket) ? "" : "/var/lib/containerd";
}

Result<std::vector<std::string>> bundled_images() {
  const std::string dir = fs::join(bundle_directory(), "images");
  std::vector<std::string> out;
  if (!fs::exists(dir)) return out;
  LAB_TRY(auto names, fs::list_dir(dir));
  for (const auto& name : names)
    if (name.ends_with(".tar")) out.push_back(fs::join(dir, name));
  return out;
}

Result<void> import_bundled_images(const std::string& socket, const RuntimeSettings& settings) {
  if (fs::exists(kImagesMark) || !socket.ends_with(kContainerdSocket)) return {};
  LAB_TRY(auto archives, bundled_images());
  for (const auto& archive : archives) LAB_CHECK(ctr(socket, {"import", "--all-platforms", archive}));
  if (!archives.empty() && !settings.sandbox_image.empty()) {
    LAB_TRY(auto names, ctr(socket, {"list", "--quiet"}));
    if (!has_line(names, settings.sandbox_image) && has_line(names, kPauseImage))
      LAB_CHECK(ctr(socket, {"tag", kPauseImage, settings.sandbox_image}));
  }
  LAB_CHECK(fs::make_dirs(std::string(kImagesMark).substr(0, std::string(kImagesMark).rfind('/'))));
  return fs::write_file(kImagesMark, "");
}

}  // namespace lab::bootstrap
