#include "bootstrap/local/image_build.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/json.h"
#include "base/subprocess.h"
#include "bootstrap/common/images.h"
#include "bootstrap/local/lab.h"

namespace lab::bootstrap {

namespace {

constexpr const char* kBuildDirectory = "/var/lib/lab/build";
constexpr const char* kNameAnnotation = "io.containerd.image.name";
constexpr const char* kRefAnnotation = "org.opencontainers.image.ref.name";
constexpr auto kToolLimit = std::chrono::minutes(10);

// The directory of one build, named after the process that made it.
class Workspace {
 public:
  static Result<Workspace> make() {
    LAB_CHECK(fs::make_dirs(kBuildDirectory, 0700));
    LAB_TRY(auto names, fs::list_dir(kBuildDirectory));
    for (const auto& name : names) {
      pid_t pid = 0;
      std::from_chars(name.data(), name.data() + name.size(), pid);
      if (pid <= 0 || !process_alive(pid)) LAB_CHECK(fs::remove_all(fs::join(kBuildDirectory, name)));
    }
    Workspace out(fs::join(kBuildDirectory, std::to_string(::getpid())));
    LAB_CHECK(fs::make_dirs(out.path_, 0700));
    // Nothing is pulled: what the build reads comes from this installation, unsigned.
    LAB_CHECK(fs::write_file(out.file("policy.json"), R"({"default":[{"type":"insecureAcceptAnything"}]})"));
    return out;
  }
  Workspace(Workspace&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ~Workspace() {
    if (path_.empty()) return;
    (void)fs::remove_all(path_);
    ::rmdir(kBuildDirectory);  // unless another build runs
  }
  std::string file(const std::string& name) const { return fs::join(path_, name); }

  // buildah with its storage here. vfs needs nothing of the file system below.
  Command buildah(std::vector<std::string> words) const {
    Command out{.argv = {"buildah", "--root", file("storage"), "--runroot", file("run"), "--storage-driver", "vfs"}};
    out.argv.push_back(std::move(words[0]));
    if (out.argv.back() == "pull" || out.argv.back() == "bud" || out.argv.back() == "push")
      out.argv.insert(out.argv.end(), {"--signature-policy", file("policy.json")});
    out.argv.insert(out.argv.end(), words.begin() + 1, words.end());
    out.env = {{"TMPDIR", path_}};
    return out;
  }

 private:
  explicit Workspace(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// A bundled image: where it lies, and its entry in that archive's index.
struct Bundled {
  std::string archive;
  json::Value manifest;
};

Result<std::map<std::string, Bundled>> bundled_by_name() {
  std::map<std::string, Bundled> out;
  LAB_TRY(auto archives, bundled_images());
  for (const auto& archive : archives) {
    LAB_TRY(auto text, run_checked({.argv = {"tar", "-xOf", archive, "index.json"}, .timeout = kToolLimit}));
    LAB_TRY(auto index, json::parse(text));
    for (const auto& m : json::list(index, "manifests"))
      out.emplace(json::str(m, "annotations", kNameAnnotation), Bundled{archive, m});
  }
  return out;
}

Error not_bundled(const std::string& image, const std::map<std::string, Bundled>& bundled) {
  std::string names;
  for (const auto& [name, _] : bundled) {
    auto brief = name;
    for (std::string_view prefix : {"docker.io/library/", "docker.io/"})
      if (brief.starts_with(prefix)) brief.erase(0, prefix.size());
    if (brief.ends_with(":latest")) brief.resize(brief.size() - 7);
    names += (names.empty() ? "" : ", ") + brief;
  }
  Error out;
  out.code = Code::kNotFound;
  out.message = "the Dockerfile needs the image " + image +
                ", which does not come with this lab, and there is no registry to pull it from";
  out.hint = "begin FROM scratch with a static program, or from one of: " + names +
             "; where there is a network: docker build, docker save -o app.tar NAME, lab image load app.tar";
  return out;
}

// Takes one image out of its archive into the build's storage.
Result<void> take_in(const Workspace& work, const std::string& name, const Bundled& image) {
  const auto layout = work.file("layout");
  LAB_CHECK(fs::remove_all(layout));
  LAB_CHECK(fs::make_dirs(layout));
  LAB_CHECK(run_checked({.argv = {"tar", "-xf", image.archive, "-C", layout}, .timeout = kToolLimit}));
  // An archive's images may share a tag, by which alone buildah would choose: the one wanted stays in the index.
  json::Value manifest = image.manifest;
  json::set(manifest, json::Object{{kRefAnnotation, "base"}}, "annotations");
  json::Value index = json::Object{{"schemaVersion", 2}, {"manifests", json::Array{std::move(manifest)}}};
  LAB_CHECK(fs::write_file(fs::join(layout, "index.json"), json::dump(index)));
  auto pull = work.buildah({"pull", "-q", "oci:" + layout + ":base"});
  pull.timeout = kToolLimit;
  LAB_TRY(auto id, run_checked(std::move(pull)));
  while (!id.empty() && std::isspace(static_cast<unsigned char>(id.back()))) id.pop_back();
  LAB_CHECK(run_checked(work.buildah({"tag", id, name})));
  return fs::remove_all(layout);
}

Result<std::string> find_dockerfile(const BuildOptions& options) {
  if (!options.dockerfile.empty()) return options.dockerfile;
  for (const char* name : {"Dockerfile", "Containerfile"})
    if (auto path = fs::join(options.context, name); fs::exists(path)) return path;
  return fail(Code::kNotFound, "there is no Dockerfile in " + options.context, "write one, or name it with -f");
}

Result<void> check_name(const std::string& name) {
  bool good = !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return std::islower(c) || std::isdigit(c) ||
           std::string_view("./:_-").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (good) return {};
  return fail(Code::kInvalid, "\"" + name + "\" is no name of an image",
              "lower-case letters, digits and . _ - /, as in: hello or me/hello:v1");
}

Result<void> run_build(const Workspace& work, const BuildOptions& options, const std::string& dockerfile,
                       const std::string& name) {
  std::vector<std::string> words{"bud", "--pull-never", "--isolation", "chroot",  "--layers=false",
                                 "-t",  name,           "-f",          dockerfile};
  for (const auto& a : options.build_args) words.insert(words.end(), {"--build-arg", a});
  words.push_back(options.context);
  auto command = work.buildah(std::move(words));
  command.merge_stderr = true;
  LAB_TRY(auto done, run(std::move(command)));
  if (options.on_output) options.on_output(done.out);
  if (!done.ok())
    return fail(Code::kInvalid,
                "the build of " + name + " failed: buildah ended with exit code " + std::to_string(done.exit_code),
                "the last step above says why");
  return {};
}

}  // namespace

Result<std::string> build_image(const Profile& profile, NodeDriver& driver, const BuildOptions& options) {
  LAB_CHECK(check_name(options.name));
  const auto name = full_image_name(options.name);
  LAB_TRY(auto dockerfile, find_dockerfile(options));
  LAB_TRY(auto text, fs::read_file(dockerfile));
  LAB_TRY(auto needed, base_images(text, options.build_args));
  LAB_TRY(auto bundled, bundled_by_name());
  for (const auto& image : needed)
    if (!bundled.contains(full_image_name(image))) return Failure(not_bundled(image, bundled));
  if (!find_in_path("buildah"))
    return fail(Code::kNotFound, "images are built by buildah, which is not installed", "apt-get install buildah");

  LAB_TRY(auto work, Workspace::make());
  for (const auto& image : needed) LAB_CHECK(take_in(work, full_image_name(image), bundled.at(full_image_name(image))));
  LAB_CHECK(run_build(work, options, dockerfile, name));
  const auto archive = work.file("image-" + std::to_string(::getpid()) + ".tar");
  LAB_CHECK(run_checked(work.buildah({"push", "-q", name, "docker-archive:" + archive + ":" + name})));
  LAB_CHECK(load_images(profile, driver, {}, {archive}));
  return name;
}

}  // namespace lab::bootstrap
