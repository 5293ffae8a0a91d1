// Images from Dockerfiles, for a lab without a registry: built by buildah, FROM scratch or from a bundled image, and
// loaded into every node.
//
// All that the build needs lies in a directory of its own below /var/lib/lab/build, and goes with the build; what a
// killed build has left goes with the next one.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bootstrap/local/profile.h"

namespace lab::bootstrap {

struct BuildOptions {
  std::string name;                                   // -t: "hello", "me/hello:v1"
  std::string dockerfile;                             // empty: Dockerfile or Containerfile in `context`
  std::string context;                                // what COPY and ADD read
  std::vector<std::string> build_args;                // "NAME=VALUE"
  std::function<void(const std::string&)> on_output;  // what the build said, in order
};

// The image's full name, as it stands in the nodes.
Result<std::string> build_image(const Profile& profile, NodeDriver& driver, const BuildOptions& options);

// "hello" is docker.io/library/hello:latest.
std::string full_image_name(const std::string& name);
// The images that a Dockerfile begins from (FROM) or copies out of (COPY --from=), scratch and its own stages left out.
// ARGs before the first FROM are filled in, `build_args` first. kInvalid where there is no FROM.
Result<std::vector<std::string>> base_images(const std::string& dockerfile, const std::vector<std::string>& build_args);

}  // namespace lab::bootstrap
