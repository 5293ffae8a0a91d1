// Where a lab's files lie on this machine: /var/lib/lab/PROFILE, and below it one directory a node.
#pragma once

#include <string>

#include "base/fs.h"

namespace lab::bootstrap {

inline constexpr const char* kLabsDirectory = "/var/lib/lab/profiles";
inline constexpr const char* kImagesDirectory = "/var/lib/lab/images";   // image sets that labs share (snapshot/image_store.h)
inline constexpr const char* kNodeImages = "/opt/lab/images";            // where a node sees those that it uses, read-only

struct NodeLayout {
  std::string base;                                    // /var/lib/lab/profiles/PROFILE/nodes/NODE
  std::string etc() const { return fs::join(base, "etc"); }
  std::string var() const { return fs::join(base, "var"); }
  std::string opt() const { return fs::join(base, "opt"); }
  std::string home() const { return fs::join(base, "home"); }
  std::string root_home() const { return fs::join(base, "root"); }
  std::string mount_point() const { return fs::join(base, "rootfs"); }
  std::string images_file() const { return fs::join(base, "images"); }   // names of the image sets it uses, a line each
  std::string pid_file() const { return fs::join(base, "pid"); }
  std::string spec_file() const { return fs::join(base, "spec.json"); }
  std::string log_file() const { return fs::join(base, "node.log"); }
};

struct LabLayout {
  std::string profile;
  std::string base() const { return fs::join(kLabsDirectory, profile); }
  std::string disk_image() const { return base() + ".img"; }       // where the file system needs one (see storage.h)
  // Beside the directory, not in it: it is written before anything else is made, and removed after everything else.
  std::string profile_file() const { return base() + ".json"; }
  // An isolated lab's network namespace (network.h) is mounted here. Names of labs and of locks differ by their ends.
  std::string network_file() const { return "/run/lab/" + profile + ".net"; }
  std::string nodes() const { return fs::join(base(), "nodes"); }
  std::string nodes_aside() const { return fs::join(base(), "nodes.aside"); }   // the other tree while one is restored
  std::string snapshots() const { return fs::join(base(), "snapshots"); }
  NodeLayout node(const std::string& name) const { return {fs::join(nodes(), name)}; }
};

}  // namespace lab::bootstrap
