#include "labs/classroom/server/upload.h"

#include <algorithm>

#include "base/rooted.h"
#include "bootstrap/local/profile.h"

namespace lab::classroom {

namespace {

constexpr int kDeepest = 16;
constexpr std::size_t kLongestName = 200;  // so that a temporary name beside it fits, too

}  // namespace

Result<void> check_upload_path(const std::string& path) {
  int depth = 0;
  for (std::size_t from = 0; from <= path.size(); ++depth) {
    const auto end = std::min(path.find('/', from), path.size());
    const std::string part = path.substr(from, end - from);
    const bool odd = std::ranges::any_of(part, [](unsigned char c) { return c < 32 || c == 127; });
    if (part.empty() || part == "." || part == ".." || part.size() > kLongestName || odd || depth >= kDeepest)
      return fail(Code::kBadRequest, "this is no path for an upload", "use names, with / between directories");
    from = end + 1;
  }
  return {};
}

Result<void> upload(const std::string& profile, const std::string& node, const std::string& path,
                    std::string_view content) {
  LAB_CHECK(check_upload_path(path));
  if (content.size() > kMostUpload) return fail(Code::kTooLarge, "a file may have 16 MiB");
  LAB_TRY(const auto lab, bootstrap::load_profile(profile));
  if (!std::ranges::any_of(lab.nodes, [&](const auto& n) { return n.name == node; }))
    return fail(Code::kNotFound, "there is no node \"" + node + "\" in this lab", "say which: ?node=node1");
  if (lab.driver != "namespace") return fail(Code::kInvalid, "nodes of this lab take no uploads");
  LAB_TRY(const auto home, fs::Rooted::open(lab.layout().node(node).root_home()));
  return home.write("upload/" + path, content, 0644, fs::Links::kRefuse);
}

}  // namespace lab::classroom
