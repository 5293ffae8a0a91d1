// Images: makes sure that a container's image is on this node, after its imagePullPolicy.
//
// Present images are used as they are. A missing one is pulled once at a time per image; failures back off like
// container restarts. Where no registry can be reached, the message says how to bring the image (`lab image load`). One
// loop.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/io/sync.h"
#include "orchestrator/agent/backoff.h"
#include "orchestrator/agent/container_config.h"
#include "orchestrator/agent/volumes/volumes.h"

namespace lab::agent {

class Images {
 public:
  // type ("Normal", "Warning"), reason, message
  using EventFn = std::function<void(std::string, std::string, std::string)>;

  Images(cri::CriClient& cri, ObjectFetcher& objects, const AgentOptions& options)
      : cri_(cri), objects_(objects), options_(options), backoff_(options.backoff_initial, options.backoff_max) {}

  Task<StartResult<cri::Image>> ensure(ObjectPtr pod, ContainerRef container, EventFn event, std::stop_token stop);

  // Removes unused images, oldest use first, while the image file system is fuller than the high mark.
  Task<void> collect(double used_percent, std::int64_t capacity_bytes);

 private:
  // After its turn, where the options let only so many pulls go on at once.
  Task<StartResult<cri::Image>> pull_in_turn(ObjectPtr pod, std::string image, bool present, EventFn event,
                                             std::stop_token stop);
  Task<StartResult<cri::Image>> pull(ObjectPtr pod, std::string image, bool present, EventFn event,
                                     std::stop_token stop);
  Task<std::vector<cri::AuthConfig>> credentials(ObjectPtr pod, std::string registry);

  cri::CriClient& cri_;
  ObjectFetcher& objects_;
  const AgentOptions& options_;
  Backoff backoff_;
  int pulling_ = 0;
  Event pulled_;
  std::map<std::string, TimePoint> unreachable_;  // registry -> when a pull last could not reach it
  std::map<std::string, TimePoint> last_used_;    // image id -> when it was last seen in use
};

// "docker.io" of "busybox", "localhost:5000" of "localhost:5000/web:1".
std::string registry_of(const std::string& image);
// The policy of the spec, else Always for :latest and IfNotPresent otherwise.
std::string pull_policy(const json::Value& container);
// "busybox:latest" of "busybox", for comparing with tags.
std::string with_tag(const std::string& image);

}  // namespace lab::agent
