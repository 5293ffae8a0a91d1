#include <future>

#include "base/subprocess.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/local/lab.h"

namespace lab::bootstrap {

namespace {

constexpr auto kRuntimeLimit = std::chrono::seconds(60);

// `ctr` reads the archive from its standard input's place: the file is reached through the node's own tree.
Result<void> import_into(NodeDriver& driver, const std::string& node, const std::string& archive) {
  LAB_TRY(auto socket, driver.path_in(node, kContainerdSocket));
  LAB_CHECK(wait_until(kRuntimeLimit, "containerd on node " + node, "see its log: lab logs --node " + node + " containerd",
                       [&]() -> Result<void> {
                         if (socket_answers(socket)) return {};
                         return fail(Code::kUnavailable, "its socket does not answer yet");
                       }));
  const std::string name = "import-" + archive.substr(archive.rfind('/') + 1);
  LAB_TRY(auto inside, driver.path_in(node, "/tmp/" + name));
  LAB_CHECK(fs::copy_file(archive, inside));
  auto done = driver.exec(node, {.argv = {"ctr", "-n", "k8s.io", "images", "import", "--all-platforms", "/tmp/" + name}, .timeout_seconds = 300});
  LAB_CHECK(fs::remove_file(inside));
  if (!done) return std::unexpected(std::move(done).error());
  if (done->exit_code != 0)
    return fail(Code::kInvalid, "containerd on node " + node + " did not take " + archive + ": " + done->err + done->out,
                "the file must be an OCI or docker-save archive, and there must be space (df -h /var/lib/lab)");
  return {};
}

}  // namespace

Result<void> load_images(const Profile& profile, NodeDriver& driver, const std::vector<std::string>& nodes,
                         const std::vector<std::string>& archives) {
  std::vector<std::string> targets = nodes;
  if (targets.empty())
    for (const auto& n : profile.nodes) targets.push_back(n.name);
  for (const auto& archive : archives)
    if (!fs::exists(archive)) return fail(Code::kNotFound, "there is no image archive " + archive);
  std::vector<std::future<Result<void>>> running;
  for (const auto& node : targets)
    running.push_back(std::async(std::launch::async, [&, node]() -> Result<void> {
      for (const auto& archive : archives) LAB_CHECK(import_into(driver, node, archive));
      return {};
    }));
  Result<void> verdict;
  for (auto& r : running)
    if (auto one = r.get(); !one && verdict) verdict = std::move(one);
  return verdict;
}

}  // namespace lab::bootstrap
