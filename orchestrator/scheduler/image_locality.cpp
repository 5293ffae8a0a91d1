// ImageLocality: prefers nodes that have the pod's images, unless few nodes have them (all pods would go there).
#include <algorithm>

#include "orchestrator/scheduler/plugin.h"

namespace lab::scheduler::image_locality {

namespace {

constexpr std::int64_t kMegabyte = 1024 * 1024, kLeast = 23 * kMegabyte, kMostPerContainer = 1000 * kMegabyte;

// As nodes report it: with a tag.
std::string normalized(const std::string& image) {
  auto slash = image.rfind('/');
  bool tagged = image.find(':', slash == std::string::npos ? 0 : slash) != std::string::npos;
  return tagged ? image : image + ":latest";
}

}  // namespace

bool prepare_score(Cycle& cycle, std::span<const NodeInfo* const> feasible) {
  return std::any_of(feasible.begin(), feasible.end(), [](const NodeInfo* n) { return !n->images().empty(); });
}

std::int64_t score(const Cycle& cycle, const NodeInfo& node) {
  std::int64_t bytes = 0;
  for (const auto& name : cycle.pod.images) {
    std::string image = normalized(name);
    auto it = node.images().find(image);
    if (it == node.images().end()) continue;
    bytes += it->second * static_cast<std::int64_t>(cycle.world.nodes_with_image(image)) /
             static_cast<std::int64_t>(cycle.nodes.size());
  }
  std::int64_t most = kMostPerContainer * static_cast<std::int64_t>(cycle.pod.images.size());
  bytes = std::clamp(bytes, kLeast, std::max(most, kLeast + 1));
  return kMaxScore * (bytes - kLeast) / (std::max(most, kLeast + 1) - kLeast);
}

}  // namespace lab::scheduler::image_locality
