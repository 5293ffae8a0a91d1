// What a base image holds besides Debian's packages: its network, its first boot, its small initramfs.
#pragma once

#include <string>
#include <vector>

namespace lab::join::vm {

struct ImageFile {
  std::string path, content;
  unsigned mode = 0644;
};

// Packages without which the machine is none, or no node.
std::vector<std::string> image_packages(const std::string& architecture);
std::vector<ImageFile> files_before_packages();  // what packages' own scripts read
std::vector<ImageFile> files_after_packages();
std::vector<std::string> units_of_image();  // to be enabled

}  // namespace lab::join::vm
