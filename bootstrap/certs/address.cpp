#include <algorithm>

#include "base/fs.h"
#include "base/json.h"
#include "bootstrap/certs/certs.h"
#include "bootstrap/certs/files.h"
#include "bootstrap/common/node_services.h"

namespace lab::bootstrap::certs {

namespace {

constexpr const char* kSystemdDirectory = "/etc/systemd/system";

bool part_of_an_address(char c) {
  return c == '.' || (c >= '0' && c <= '9');
}

// Whole addresses alone: 10.0.0.1 is not a part of 10.0.0.12.
std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    const bool begins = at == 0 || !part_of_an_address(text[at - 1]);
    const std::size_t end = at + from.size();
    if (!begins || (end < text.size() && part_of_an_address(text[end]))) {
      at = end;
      continue;
    }
    text.replace(at, from.size(), to);
    at += to.size();
  }
  return text;
}

}  // namespace

Result<std::vector<std::string>> repoint_units(const std::string& old_address, const std::string& new_address) {
  std::vector<std::string> changed, files{kNodeRecord, "/etc/kubernetes/kubelet.conf"};
  for (const char* unit : {"lab-server", "lab-agent", "lab-overlay", "lab-etcd"}) {
    files.push_back(fs::join(kUnitDirectory, std::string(unit) + ".json"));
    files.push_back(fs::join(kSystemdDirectory, std::string(unit) + ".service"));
  }
  for (const auto& path : files) {
    auto text = fs::read_file(path);
    if (!text) continue;
    auto now = replaced(*text, old_address, new_address);
    if (now == *text) continue;
    LAB_CHECK(replace_file(path, now, 0600));
    changed.push_back(path);
  }
  return changed;
}

}  // namespace lab::bootstrap::certs
