// Static pods: manifests in a directory of this node, run without an API server, and their mirror pods in the API.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/io/descriptor.h"
#include "orchestrator/agent/pod.h"

namespace lab::agent {

struct StaticPodSet {
  std::map<std::string, ObjectPtr> pods;        // by uid, which is a hash of the manifest
  std::map<std::string, std::string> problems;  // file -> why it is not run
};
// Reads all *.yaml, *.yml, *.json and *.manifest files. Files that cannot be read as a Pod become problems. Blocking.
StaticPodSet read_manifests(const std::string& directory, const std::string& node_name);

// Readable when a manifest was written, moved or removed (inotify(7)); null where the directory is absent. On a loop.
std::unique_ptr<Descriptor> watch_manifests(const std::string& directory);
// Takes what the watch has to say. False: the directory itself is gone.
bool take_news(Descriptor& watch);

// What is created in the API for a static pod; node_uid owns it where it is known.
json::Value make_mirror_pod(const json::Value& pod, const std::string& node_name, const std::string& node_uid);

}  // namespace lab::agent
