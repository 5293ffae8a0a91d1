// Unit: one daemon of a node, as a file that says what to run. Written by init and join, read by the supervisor.
//
// Files: /etc/lab/units/NAME.json {"argv": [...], "env": {...}, "after": [...]}. The same description is rendered as a
// systemd unit where systemd runs.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace lab::bootstrap {

struct Unit {
  std::string name;  // "lab-server"
  std::string description;
  std::vector<std::string> argv;  // argv[0] absolute
  std::map<std::string, std::string> env;
  std::vector<std::string> after;  // started after these
  // systemd only: the distribution's own unit serves instead (containerd.service); nothing is written for it.
  std::string native_unit;
};

inline constexpr const char* kUnitDirectory = "/etc/lab/units";
inline constexpr const char* kSuperviseSocket = "/run/lab/supervise.sock";
inline constexpr const char* kLogDirectory = "/var/log/lab";

std::string unit_text(const Unit& unit);  // of its file
Result<void> write_unit(const Unit& unit, const std::string& directory = kUnitDirectory);
Result<Unit> read_unit(const std::string& path);
Result<std::vector<Unit>> read_units(const std::string& directory = kUnitDirectory);  // in starting order
std::string systemd_text(const Unit& unit);

}  // namespace lab::bootstrap
