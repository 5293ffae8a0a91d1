// Making a base image: mmdebstrap, an ext4 file system of what it made, a qcow2 of that.
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/crypto/encoding.h"
#include "base/crypto/file_digest.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/subprocess.h"
#include "join/vm/image.h"
#include "join/vm/image_files.h"
#include "join/vm/lock.h"
#include "join/vm/record.h"

namespace lab::join::vm {

namespace {

constexpr auto kDownloadLimit = std::chrono::minutes(30);
constexpr auto kDiskLimit = std::chrono::minutes(15);
constexpr std::uint64_t kRoomNeeded = 3ull << 30;

// As Debian names architectures.
std::string architecture() {
  utsname name{};
  ::uname(&name);
  const std::string machine = name.machine;
  return machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine;
}

Result<void> check_programs() {
  for (auto [program, package] : {std::pair{"mmdebstrap", "mmdebstrap"}, std::pair{"mkfs.ext4", "e2fsprogs"},
                                  std::pair{"qemu-img", "qemu-utils"}})
    if (!find_in_path(program))
      return fail(Code::kNotFound, std::string(program) + " is not installed",
                  std::string("install it: apt-get install ") + package);
  if (::geteuid() != 0) return fail(Code::kForbidden, "making an image needs root", "run it through sudo");
  return {};
}

Result<void> check_room(const std::string& directory) {
  LAB_TRY(auto free, fs::free_bytes(directory));
  if (free >= kRoomNeeded) return {};
  return fail(Code::kUnavailable,
              "no space: making an image takes about " + std::to_string(kRoomNeeded >> 20) + " MiB in " + directory +
                  ", and " + std::to_string(free >> 20) + " MiB are free",
              "free some there: df -h " + directory);
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string out;
  for (const auto& w : words) out += (out.empty() ? "" : between) + w;
  return out;
}

Result<void> write_files(const std::string& root, const std::vector<ImageFile>& files) {
  for (const auto& f : files) {
    const std::string path = fs::join(root, f.path);
    LAB_CHECK(fs::make_dirs(path.substr(0, path.rfind('/'))));
    LAB_CHECK(fs::write_file(path, f.content, f.mode));
  }
  return {};
}

Result<void> bootstrap_root(const BuildOptions& o, const std::string& work, const std::string& root) {
  const std::string before = fs::join(work, "before");
  LAB_CHECK(write_files(before, files_before_packages()));
  auto packages = image_packages(architecture());
  packages.insert(packages.end(), o.packages.begin(), o.packages.end());
  Command command{
      .argv = {"mmdebstrap", "--quiet", "--variant=apt", "--include=" + joined(packages, ","),
               "--essential-hook=cp -r '" + before + "/.' \"$1\"", "--dpkgopt=path-exclude=/usr/share/man/*",
               "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
               "--dpkgopt=path-exclude=/usr/share/locale/*", o.suite, root},
      .timeout = kDownloadLimit};
  if (!o.mirror.empty()) command.argv.push_back(o.mirror);
  auto done = run_checked(std::move(command));
  if (done) return {};
  return fail(Code::kUnavailable, "mmdebstrap failed: " + done.error().message,
              "is a Debian mirror reachable? name one with --mirror URL; are all packages of " + o.suite + "?");
}

Result<void> furnish_root(const std::string& root) {
  LAB_CHECK(write_files(root, files_after_packages()));
  std::vector<std::string> enable{"systemctl", "--root=" + root, "--quiet", "enable"};
  for (const auto& unit : units_of_image()) enable.push_back(unit);
  if (auto done = run_checked({.argv = std::move(enable)}); !done) return std::unexpected(std::move(done).error());
  LAB_TRY(auto keys, fs::list_dir(fs::join(root, "etc/ssh")));
  for (const auto& key : keys)  // a machine has its own
    if (key.starts_with("ssh_host_")) LAB_CHECK(fs::remove_file(fs::join(root, "etc/ssh/" + key)));
  return fs::remove_all(fs::join(root, "var/cache/apt/archives"));
}

Result<std::string> newest(const std::string& boot, const std::string& prefix) {
  LAB_TRY(auto names, fs::list_dir(boot));
  std::string found;
  for (const auto& name : names)
    if (name.starts_with(prefix)) found = name;  // names are sorted
  if (found.empty())
    return fail(Code::kInternal, "the image has no " + prefix + "* in /boot",
                "does its suite have a package linux-image-cloud-*?");
  return fs::join(boot, found);
}

Result<void> make_disk(const BuildOptions& o, const std::string& root, const std::string& work) {
  const std::string raw = fs::join(work, "disk.raw");
  LAB_CHECK(fs::write_file(raw, ""));
  if (::truncate(raw.c_str(), static_cast<off_t>(o.disk_bytes)) != 0) return fail_errno("size " + raw);
  for (Command step :
       {Command{.argv = {"mkfs.ext4", "-q", "-F", "-m", "0", "-L", "root", "-E",
                         "lazy_itable_init=1,lazy_journal_init=1", "-d", root, raw},
                .timeout = kDiskLimit},
        Command{.argv = {"qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, fs::join(work, "image/disk.qcow2")},
                .timeout = kDiskLimit}})
    if (auto done = run_checked(std::move(step)); !done) return std::unexpected(std::move(done).error());
  return fs::remove_file(raw);
}

Result<void> write_manifest(const BuildOptions& o, const std::string& image) {
  json::Object sums;
  for (const char* file : {"disk.qcow2", "vmlinuz", "initrd"}) {
    LAB_TRY(auto digest, crypto::sha256_of_file(fs::join(image, file)));
    sums[file] = crypto::hex_encode(digest);
  }
  const json::Value manifest = json::Object{{"suite", o.suite}, {"made", now_text()}, {"sha256", std::move(sums)}};
  return fs::write_file(fs::join(image, "image.json"), json::dump_pretty(manifest, 2) + "\n");
}

// The old one goes only when the new one is whole; between the two renames a killed run leaves the old beside its
// place.
Result<void> put_in_place(const std::string& made, const std::string& place) {
  LAB_CHECK(fs::remove_all(place + ".old"));
  if (fs::exists(place) && ::rename(place.c_str(), (place + ".old").c_str()) != 0)
    return fail_errno("set the old image aside");
  if (::rename(made.c_str(), place.c_str()) != 0) return fail_errno("put the image in its place");
  return fs::remove_all(place + ".old");
}

}  // namespace

Result<void> build_image(const BuildOptions& o, const std::function<void(const std::string&)>& on_step) {
  LAB_CHECK(check_programs());
  LAB_CHECK(fs::make_dirs(o.directory));
  LAB_TRY(auto lock, FileLock::take(fs::join(o.directory, ".lock"), "makes an image"));
  const std::string place = fs::join(o.directory, o.name), work = place + ".new", root = fs::join(work, "root");
  LAB_CHECK(fs::remove_all(work));  // of a run that was killed
  LAB_CHECK(check_room(o.directory));
  LAB_CHECK(fs::make_dirs(fs::join(work, "image")));
  auto made = [&]() -> Result<void> {
    on_step("Installing Debian " + o.suite + " and " +
            std::to_string(image_packages(architecture()).size() + o.packages.size()) +
            " packages with what they need");
    LAB_CHECK(bootstrap_root(o, work, root));
    on_step("Setting the machine up");
    LAB_CHECK(furnish_root(root));
    for (const char* file : {"vmlinuz", "initrd"}) {
      LAB_TRY(auto from, newest(fs::join(root, "boot"), file));
      LAB_CHECK(fs::copy_file(from, fs::join(work, std::string("image/") + file)));
    }
    on_step("Making its disk");
    LAB_CHECK(make_disk(o, root, work));
    LAB_CHECK(write_manifest(o, fs::join(work, "image")));
    return put_in_place(fs::join(work, "image"), place);
  }();
  auto swept = fs::remove_all(work);
  LAB_CHECK(made);
  return swept;
}

}  // namespace lab::join::vm
