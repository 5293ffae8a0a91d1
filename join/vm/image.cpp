#include "join/vm/image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cstring>

#include "base/crypto/encoding.h"
#include "base/crypto/file_digest.h"
#include "base/fs.h"
#include "base/json.h"

namespace lab::join::vm {

namespace {

constexpr const char* kManifest = "image.json";
constexpr const char* kCommandLine = "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=0 net.ifnames=0";

Failure damaged(const std::string& file, const std::string& why) {
  return fail(Code::kInvalid, "the base image is damaged: " + file + " " + why, "make it again: lab vm image build");
}

std::uint64_t big_endian(const unsigned char* at, int bytes) {
  std::uint64_t v = 0;
  for (int i = 0; i < bytes; ++i) v = v << 8 | at[i];
  return v;
}

Result<std::uint64_t> file_size(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return fail_errno("look at " + path);
  return static_cast<std::uint64_t>(st.st_size);
}

bool is_image_name(const std::string& name) {
  bool ok = !name.empty() && name.size() <= 60 && std::isalnum(static_cast<unsigned char>(name.front()));
  for (unsigned char c : name) ok = ok && (std::isalnum(c) || c == '-' || c == '.' || c == '_');
  return ok && !name.ends_with(".new") && !name.ends_with(".old");
}

Result<Image> open_ours(const std::string& name, const std::string& directory) {
  const std::string base = fs::join(directory, name);
  auto text = fs::read_file(fs::join(base, kManifest));
  if (!text && text.error().code == Code::kNotFound)
    return fail(Code::kNotFound, "there is no base image \"" + name + "\"",
                "make it of Debian packages: lab vm image build" + (name == kDefaultImage ? "" : " " + name) +
                    "; or give the file of another one: --image FILE");
  LAB_TRY(auto manifest_text, std::move(text));
  auto manifest = json::parse(manifest_text);
  if (!manifest) return damaged(fs::join(base, kManifest), "cannot be read");
  for (const auto& [file, sum] : json::map(*manifest, "sha256")) {
    const std::string path = fs::join(base, std::string_view(file.data(), file.size()));
    auto digest = crypto::sha256_of_file(path);
    if (!digest && digest.error().code == Code::kNotFound) return damaged(path, "is missing");
    LAB_TRY(auto bytes, std::move(digest));
    if (crypto::hex_encode(bytes) != json::as_str(sum))
      return damaged(path, "is not what it was when it was made (its SHA-256 differs)");
  }
  Image image{.name = name,
              .disk = fs::join(base, "disk.qcow2"),
              .kernel = fs::join(base, "vmlinuz"),
              .initrd = fs::join(base, "initrd"),
              .command_line = kCommandLine};
  auto head = read_disk_head(image.disk);
  if (!head) return damaged(image.disk, "is no disk");
  image.format = head->format;
  image.bytes = head->bytes;
  return image;
}

Result<Image> open_file(const std::string& path) {
  char* real = ::realpath(path.c_str(), nullptr);
  if (!real)
    return fail_errno("open the image " + path, "give the file of a disk, or the name of an image (lab vm image list)");
  Image image{.name = path, .disk = real};
  std::free(real);
  LAB_TRY(auto head, read_disk_head(image.disk));
  image.format = head.format;
  image.bytes = head.bytes;
  return image;
}

}  // namespace

// docs/interop/qcow2.txt of QEMU: magic, version, backing file offset (8..15), virtual size (24..31).
Result<DiskHead> read_disk_head(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail_errno("open the disk " + path);
  unsigned char head[512] = {};
  const ssize_t got = ::pread(fd, head, sizeof head, 0);
  ::close(fd);
  if (got < 0) return fail_errno("read the disk " + path);
  if (got >= 72 && std::memcmp(head, "QFI\xfb", 4) == 0) {
    const auto version = big_endian(head + 4, 4);
    DiskHead out{.format = "qcow2", .bytes = big_endian(head + 24, 8), .has_base = big_endian(head + 8, 8) != 0};
    if ((version == 2 || version == 3) && out.bytes >= 1 << 20) return out;
  } else if (got == sizeof head && head[510] == 0x55 && head[511] == 0xaa) {
    LAB_TRY(auto size, file_size(path));
    return DiskHead{.format = "raw", .bytes = size};
  }
  return fail(Code::kInvalid, path + " is no disk of a machine: neither a qcow2 nor a raw disk with a boot record",
              "is it compressed, cut off, or something else? file " + path);
}

Result<Image> open_image(const std::string& name, const std::string& directory) {
  if (name.find('/') != std::string::npos || (!fs::exists(fs::join(directory, name)) && fs::exists(name)))
    return open_file(name);
  if (!is_image_name(name)) return fail(Code::kInvalid, "\"" + name + "\" is no name for an image");
  return open_ours(name, directory);
}

Result<std::vector<ImageInfo>> list_images(const std::string& directory) {
  std::vector<ImageInfo> out;
  if (!fs::exists(directory)) return out;
  LAB_TRY(auto names, fs::list_dir(directory));
  for (const auto& name : names) {
    auto text = fs::read_file(fs::join(fs::join(directory, name), kManifest));
    if (!text || !is_image_name(name)) continue;  // half made
    ImageInfo info{.name = name};
    if (auto manifest = json::parse(*text)) {
      info.suite = json::str(*manifest, "suite");
      info.made = json::str(*manifest, "made");
    }
    struct stat st;
    for (const char* file : {"disk.qcow2", "vmlinuz", "initrd"})
      if (::stat(fs::join(fs::join(directory, name), file).c_str(), &st) == 0)
        info.bytes += static_cast<std::uint64_t>(st.st_blocks) * 512;
    out.push_back(std::move(info));
  }
  return out;
}

Result<void> delete_image(const std::string& name, const std::string& directory) {
  if (!is_image_name(name)) return fail(Code::kInvalid, "\"" + name + "\" is no name for an image");
  for (const char* ending : {".new", ".old", ""}) LAB_CHECK(fs::remove_all(fs::join(directory, name) + ending));
  return {};
}

}  // namespace lab::join::vm
