#include "orchestrator/agent/images.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "base/crypto/encoding.h"
#include "base/log.h"

namespace lab::agent {

using namespace std::chrono_literals;

namespace {

constexpr auto kOfflineMemory = 60s;

bool cannot_reach(const Error& error) {
  if (error.code == Code::kUnavailable || error.code == Code::kTimeout) return true;
  for (std::string_view sign :
       {"dial tcp", "no such host", "connection refused", "network is unreachable", "i/o timeout", "no route to host",
        "server misbehaving", "TLS handshake timeout", "lookup "})
    if (error.message.find(sign) != std::string::npos) return true;
  return false;
}

std::string load_hint(const std::string& image) {
  return "; the image is not on this node and no registry gave it: bring it with `lab image load` (from an archive, "
         "or from this machine's own images: `lab image load " +
         image + "`)";
}

std::string seconds_text(Duration d) {
  char out[32];
  std::snprintf(out, sizeof out, "%.3fs", std::chrono::duration<double>(d).count());
  return out;
}

}  // namespace

std::string registry_of(const std::string& image) {
  auto slash = image.find('/');
  if (slash == std::string::npos) return "docker.io";
  std::string first = image.substr(0, slash);
  bool host = first == "localhost" || first.find_first_of(".:") != std::string::npos;
  return host ? first : "docker.io";
}

std::string with_tag(const std::string& image) {
  if (image.find('@') != std::string::npos) return image;
  auto name = image.substr(image.rfind('/') == std::string::npos ? 0 : image.rfind('/') + 1);
  return name.find(':') == std::string::npos ? image + ":latest" : image;
}

std::string pull_policy(const json::Value& c) {
  std::string policy(json::str(c, "imagePullPolicy"));
  if (!policy.empty()) return policy;
  return with_tag(std::string(json::str(c, "image"))).ends_with(":latest") ? "Always" : "IfNotPresent";
}

Task<StartResult<cri::Image>> Images::ensure(ObjectPtr pod, ContainerRef container, EventFn event,
                                             std::stop_token stop) {
  std::string image(json::str(*container.spec, "image")), policy = pull_policy(*container.spec);
  if (image.empty() || image.find_first_of(" \t\n") != std::string::npos)
    co_return std::unexpected(StartError{"InvalidImageName", "Failed to apply default image tag \"" + image +
                                                                 "\": couldn't parse image name: invalid reference "
                                                                 "format"});
  auto present = co_await cri_.image_status(image);
  if (!present) {
    // The runtime answers a name that it cannot read with an error of its own.
    if (present.error().message.find("invalid reference") != std::string::npos)
      co_return std::unexpected(StartError{
          "InvalidImageName", "Failed to apply default image tag \"" + image + "\": " + present.error().message});
    co_return std::unexpected(
        StartError{"ImageInspectError", "Failed to inspect image \"" + image + "\": " + present.error().text()});
  }
  if (*present) last_used_[(*present)->id] = Loop::current()->now();
  if (*present && policy != "Always") {
    event("Normal", "Pulled", "Container image \"" + image + "\" already present on machine");
    co_return **present;
  }
  if (policy == "Never") {
    std::string message = "Container image \"" + image + "\" is not present with pull policy of Never";
    event("Warning", "ErrImageNeverPull", message + load_hint(image));
    co_return std::unexpected(StartError{"ErrImageNeverPull", message + load_hint(image)});
  }
  auto offline = unreachable_.find(registry_of(image));
  bool skip = *present && options_.use_present_image_offline && offline != unreachable_.end() &&
              Loop::current()->now() - offline->second < kOfflineMemory;
  if (skip) {
    event("Normal", "Pulled",
          "Container image \"" + image + "\" already present on machine (its registry cannot be reached)");
    co_return **present;
  }
  auto pulled = co_await pull_in_turn(pod, image, present->has_value(), event, stop);
  if (!pulled && *present && options_.use_present_image_offline && unreachable_.contains(registry_of(image))) {
    event("Normal", "Pulled",
          "Container image \"" + image + "\" already present on machine (its registry cannot be reached)");
    co_return **present;
  }
  co_return pulled;
}

Task<StartResult<cri::Image>> Images::pull_in_turn(ObjectPtr pod, std::string image, bool present, EventFn event,
                                                   std::stop_token stop) {
  while (options_.max_parallel_pulls > 0 && pulling_ >= options_.max_parallel_pulls)
    if (!co_await pulled_.wait(stop))
      co_return std::unexpected(StartError{"Cancelled", "the pull of \"" + image + "\" was given up"});
  struct Turn {
    explicit Turn(Images& all) : images(all) { ++images.pulling_; }
    ~Turn() {
      --images.pulling_;
      images.pulled_.notify();
    }
    Images& images;
  } turn(*this);
  co_return co_await pull(pod, image, present, event, stop);
}

Task<StartResult<cri::Image>> Images::pull(ObjectPtr pod, std::string image, bool present, EventFn event,
                                           std::stop_token stop) {
  Loop& loop = *Loop::current();
  std::string key = uid_of(*pod) + "_" + image;
  if (backoff_.remaining(key, loop.now(), loop.now()) > 0s) {
    std::string message = "Back-off pulling image \"" + image + "\"";
    event("Normal", "BackOff", message);
    co_return std::unexpected(StartError{"ImagePullBackOff", message + load_hint(image)});
  }
  event("Normal", "Pulling", "Pulling image \"" + image + "\"");
  TimePoint begun = loop.now();
  std::string registry = registry_of(image);
  auto auths = co_await credentials(pod, registry);
  Duration limit = present && options_.use_present_image_offline ? Duration(5s) : options_.pull_timeout;
  Result<std::string> done = std::unexpected(Error{});
  if (auths.empty()) done = co_await cri_.pull_image(image, std::nullopt, limit, stop);
  for (auto& auth : auths) {
    done = co_await cri_.pull_image(image, auth, limit, stop);
    if (done) break;
  }
  if (done) {
    unreachable_.erase(registry);
    backoff_.forget(key);
    auto status = co_await cri_.image_status(image);
    if (status && *status) {
      last_used_[(*status)->id] = loop.now();
      std::string took = seconds_text(loop.now() - begun);
      event("Normal", "Pulled",
            "Successfully pulled image \"" + image + "\" in " + took + " (" + took +
                " including waiting). Image size: " + std::to_string((*status)->size) + " bytes.");
      co_return **status;
    }
    done = fail(Code::kInternal, "the image is not there after it was pulled");
  }
  if (cannot_reach(done.error())) unreachable_[registry] = loop.now();
  backoff_.next(key, loop.now(), loop.now());
  std::string message = "Failed to pull image \"" + image + "\": " + done.error().message;
  if (!present || !options_.use_present_image_offline) {
    event("Warning", "Failed", message);
    event("Warning", "Failed", "Error: ErrImagePull");
  }
  co_return std::unexpected(StartError{"ErrImagePull", done.error().message + load_hint(image)});
}

Task<std::vector<cri::AuthConfig>> Images::credentials(ObjectPtr pod, std::string registry) {
  std::vector<cri::AuthConfig> out;
  std::vector<ObjectRef> refs;
  for (const auto& s : json::list(*pod, "spec", "imagePullSecrets"))
    refs.push_back({ObjectRef::kSecret, std::string(json::str(s, "name")), true});
  if (refs.empty()) co_return out;
  auto objects = co_await objects_.fetch(namespace_of(*pod), refs, 10s);
  if (!objects) co_return out;
  for (const auto& [slot, object] : *objects) {
    if (!object) continue;
    auto text = data_of(ObjectRef::kSecret, *object, ".dockerconfigjson");
    auto parsed = json::parse(text.value_or("{}"));
    if (!parsed) continue;
    for (const auto& [host, entry] : json::map(*parsed, "auths")) {
      std::string name(host);
      if (auto scheme = name.find("://"); scheme != std::string::npos) name = name.substr(scheme + 3);
      name = name.substr(0, name.find('/'));
      if (name == "index.docker.io") name = "docker.io";
      if (name != registry) continue;
      cri::AuthConfig auth{.username = std::string(json::str(entry, "username")),
                           .password = std::string(json::str(entry, "password")),
                           .auth = std::string(json::str(entry, "auth")),
                           .server_address = registry};
      if (auth.username.empty() && !auth.auth.empty()) {
        auto plain = crypto::base64_decode(auth.auth).value_or("");
        auth.username = plain.substr(0, plain.find(':'));
        auth.password = plain.find(':') == std::string::npos ? "" : plain.substr(plain.find(':') + 1);
        auth.auth.clear();
      }
      out.push_back(std::move(auth));
    }
  }
  co_return out;
}

Task<void> Images::collect(double used_percent, std::int64_t capacity_bytes) {
  auto images = co_await cri_.list_images();
  auto containers = co_await cri_.list_containers();
  if (!images || !containers) co_return;
  TimePoint now = Loop::current()->now();
  std::set<std::string> in_use;
  for (const auto& c : *containers) {
    in_use.insert(c.image_ref);
    in_use.insert(c.image);
  }
  struct Candidate {
    const cri::Image* image;
    TimePoint used;
  };
  std::vector<Candidate> candidates;
  std::map<std::string, TimePoint> known;
  for (const auto& i : *images) {
    auto [it, fresh] = last_used_.try_emplace(i.id, now);
    bool used = in_use.contains(i.id);
    for (const auto& t : i.tags) used = used || in_use.contains(t);
    for (const auto& d : i.digests) used = used || in_use.contains(d);
    if (used) it->second = now;
    known[i.id] = it->second;
    // The pause image has no container of its own kind in the list: the runtime pins it, or its name tells.
    bool pause = i.pinned || std::ranges::any_of(i.tags, [](const auto& t) { return t.find("pause") != t.npos; });
    if (!used && !pause && now - it->second >= options_.image_gc_min_age) candidates.push_back({&i, it->second});
  }
  last_used_ = std::move(known);
  if (used_percent < options_.image_gc_high_percent) co_return;
  auto to_free = static_cast<std::int64_t>((used_percent - options_.image_gc_low_percent) / 100 *
                                           static_cast<double>(capacity_bytes));
  std::ranges::sort(candidates, {}, &Candidate::used);
  for (const auto& c : candidates) {
    if (to_free <= 0) break;
    if (auto done = co_await cri_.remove_image(c.image->id); !done) {
      log::warn("an unused image cannot be removed", {{"image", c.image->id}, {"why", done.error().text()}});
      continue;
    }
    log::info("removed an unused image", {{"image", c.image->tags.empty() ? c.image->id : c.image->tags.front()}});
    to_free -= static_cast<std::int64_t>(c.image->size);
  }
}

}  // namespace lab::agent
