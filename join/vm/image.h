// Base images: what the disks of machines begin as.
//
// Ours are made of Debian packages, no image is downloaded: /var/lib/lab/vm/images/NAME holds disk.qcow2 (an ext4 file
// system), vmlinuz and initrd (they are booted directly: no boot loader is needed), and image.json with their
// checksums. Any qcow2 of others that boots by itself and has cloud-init serves as well.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::join::vm {

inline constexpr const char* kImagesDirectory = "/var/lib/lab/vm/images";
inline constexpr const char* kDefaultImage = "debian";

struct Image {
  std::string name;
  std::string disk, format;                  // a file; "qcow2" or "raw"
  std::uint64_t bytes = 0;                   // of the disk as a machine sees it
  std::string kernel, initrd, command_line;  // empty: it boots from its disk
};

struct ImageInfo {
  std::string name, suite, made;  // made: RFC 3339
  std::uint64_t bytes = 0;        // on this machine's disk
};

// An image by its name, or by the path of a disk (with a slash, or of a file that exists). What was made here is
// compared with its checksums: kInvalid says which file is damaged. kNotFound says how to make one.
Result<Image> open_image(const std::string& name_or_file, const std::string& directory = kImagesDirectory);
Result<std::vector<ImageInfo>> list_images(const std::string& directory = kImagesDirectory);
Result<void> delete_image(const std::string& name, const std::string& directory = kImagesDirectory);

struct BuildOptions {
  std::string name = kDefaultImage;
  std::string suite = "bookworm";
  std::string mirror;                 // empty: Debian's, or what mmdebstrap is configured for
  std::vector<std::string> packages;  // besides those that a node needs
  std::uint64_t disk_bytes = 10ull << 30;
  std::string directory = kImagesDirectory;
};
// Replaces one of that name in the end; killed half-way it leaves nothing that the next call does not remove. `on_step`
// hears what is being done. Needs root, mmdebstrap, mkfs.ext4 and qemu-img.
Result<void> build_image(const BuildOptions& options, const std::function<void(const std::string&)>& on_step);

// Size and format of a disk file, by its head. kInvalid: it is no disk of a machine.
struct DiskHead {
  std::string format;
  std::uint64_t bytes = 0;
  bool has_base = false;  // a qcow2 that is itself an overlay
};
Result<DiskHead> read_disk_head(const std::string& path);

}  // namespace lab::join::vm
