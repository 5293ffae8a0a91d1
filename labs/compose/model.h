// A compose file as far as a lab can run it (compose-spec.io, "Compose file reference").
//
// Reading is strict about what would change the application's meaning: a key that cannot be honoured is named with its
// line and column, as a warning where the application runs without it, else as an error.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::compose {

struct Port {
  int published = 0;  // on the nodes' addresses; 0: not published
  int target = 0;     // in the container
  std::string protocol = "tcp";
};

struct Mount {
  std::string volume;  // a named volume; empty: one of the container's own
  std::string target;
  bool read_only = false;
};

struct Build {
  std::string context, dockerfile;  // paths; dockerfile empty: found in the context
  std::vector<std::string> args;    // "NAME=VALUE"
};

enum class Condition { kStarted, kHealthy, kCompleted };

struct Service {
  std::string name, image;
  std::optional<Build> build;
  std::vector<std::string> entrypoint, command;
  std::map<std::string, std::string> environment;
  std::vector<Port> ports;
  std::vector<Mount> mounts;
  std::map<std::string, Condition> depends_on;
  std::vector<std::string> health_test;  // a command; empty: none
  int health_interval = 10;              // seconds
  std::string restart = "always";        // "no", "on-failure", "always"
  std::int64_t replicas = 1;
  std::string working_dir;
  std::optional<std::int64_t> user;
  int stop_grace_seconds = 10;
};

struct Project {
  std::string name;               // the namespace of all its objects
  std::vector<Service> services;  // those that others depend on first
  std::vector<std::string> volumes;
  std::vector<std::string> warnings;  // "line 4, column 5: ..."
};

// Invalid with every mistake. `name` empty: the file's own, or its directory's. ${NAME} and ${NAME:-DEFAULT} are taken
// from this process's environment.
Result<Project> read_project(const std::string& file, const std::string& name);

// "sh -c 'echo hello'" as words, with quotes and backslashes as a shell has them.
std::vector<std::string> words_of(const std::string& text);

}  // namespace lab::compose
