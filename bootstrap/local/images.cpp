#include <future>

#include "base/subprocess.h"
#include "bootstrap/common/runtime.h"
#include "bootstrap/local/lab.h"

namespace lab::bootstrap {

namespace {

constexpr auto kRuntimeLimit = std::chrono::seconds(60);

// `ctr` reads a file of the node. A runtime that ends between two calls is started again by its supervisor: waited for.
Result<void> import_into(NodeDriver& driver, const std::string& node, const std::string& archive) {
  const std::string inside = "/tmp/import-" + archive.substr(archive.rfind('/') + 1);
  ExecResult done;
  bool copied = false;
  auto tried = wait_until(kRuntimeLimit, "containerd on node " + node, "see its log: lab logs --node " + node + " containerd", [&]() -> Result<void> {
    LAB_CHECK(driver.runtime_answers(node));
    if (!copied) LAB_CHECK(driver.copy_in(node, archive, inside));
    copied = true;
    LAB_TRY(done, driver.exec(node, {.argv = {"ctr", "-n", "k8s.io", "images", "import", "--all-platforms", inside}, .timeout_seconds = 300}));
    if (done.exit_code != 0 && done.err.find("failed to dial") != std::string::npos) return fail(Code::kUnavailable, done.err);
    return {};
  });
  if (copied) LAB_CHECK(driver.remove_file(node, inside));
  LAB_CHECK(std::move(tried));
  if (done.exit_code != 0)
    return fail(Code::kInvalid, "containerd on node " + node + " did not take " + archive + ": " + done.err + done.out,
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
