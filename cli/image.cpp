#include <cstdio>

#include "bootstrap/local/image_build.h"
#include "bootstrap/local/lab.h"
#include "cli/groups.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

const Option kProfile{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"};

Result<void> load(const Invocation& in) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  return bootstrap::load_images(profile, *driver, {}, in.arguments());
}

Result<void> list(const Invocation& in) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  for (const auto& node : profile.nodes) {
    LAB_TRY(auto done,
            driver->exec(node.name, {.argv = {"ctr", "-n", "k8s.io", "images", "list", "-q"}, .timeout_seconds = 60}));
    if (done.exit_code != 0)
      return fail(Code::kUnavailable, "containerd on " + node.name + " does not answer: " + done.err);
    std::printf("%s:\n", node.name.c_str());
    std::size_t start = 0;
    while (start < done.out.size()) {
      auto end = done.out.find('\n', start);
      std::string name = done.out.substr(start, end - start);
      if (name.find("sha256:") != 0) std::printf("  %s\n", name.c_str());  // CRI's second name of the same image
      start = end + 1;
    }
  }
  return {};
}

Result<void> build(const Invocation& in) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  bootstrap::BuildOptions options;
  options.name = in.get("tag");
  options.dockerfile = in.get("file");
  options.context = in.argument(0);
  options.build_args = in.all("build-arg");
  options.on_output = [](const std::string& text) { std::fputs(text.c_str(), stdout); };
  if (options.name.empty()) return fail(Code::kInvalid, "the image needs a name", "lab image build -t NAME DIR");
  LAB_TRY(auto name, bootstrap::build_image(profile, *driver, options));
  std::printf("Built %s; it is on every node.\n", name.c_str());
  return {};
}

}  // namespace

Commands image_commands() {
  return {
      {.path = "image", .summary = "Container images of the lab's nodes"},
      {.path = "image load",
       .summary = "Import image archives into every node",
       .arguments = {{"ARCHIVE", "an OCI or docker-save archive", true, true}},
       .options = {kProfile},
       .run = [](const Invocation& in) { return finish(load(in)); }},
      {.path = "image build",
       .summary = "Build an image from a Dockerfile and load it into every node",
       .details = "As in: lab image build -t hello:v1 .\nFROM scratch or from a bundled image: no registry is needed. "
                  "The work is done by buildah.",
       .arguments = {{"DIR", "what COPY and ADD read"}},
       .options = {kProfile,
                   {.name = "tag", .value = "NAME", .help = "The image's name", .letter = "t"},
                   {.name = "file", .value = "DOCKERFILE", .help = "Default: Dockerfile in DIR", .letter = "f"},
                   {.name = "build-arg", .value = "NAME=VALUE", .help = "Value of an ARG", .repeated = true}},
       .run = [](const Invocation& in) { return finish(build(in)); }},
      {.path = "image list",
       .summary = "List the images by node",
       .options = {kProfile},
       .run = [](const Invocation& in) { return finish(list(in)); }},
  };
}

}  // namespace lab::cli
