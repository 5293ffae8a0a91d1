#include "overlay-net/cni/conflist.h"

#include "base/fs.h"
#include "base/json.h"

namespace lab::overlay {

std::string conflist_text(const std::string& agent_socket) {
  json::Value list =
      json::Object{{"cniVersion", "1.0.0"},
                   {"name", "lab"},
                   {"plugins", json::Array{json::Object{{"type", "lab-cni"},
                                                        {"agentSocket", agent_socket},
                                                        {"capabilities", json::Object{{"portMappings", true}}}}}}};
  return json::dump_pretty(list, 2) + "\n";
}

Result<void> install_conflist(const std::string& directory, const std::string& agent_socket) {
  auto path = fs::join(directory, kConflistName);
  auto text = conflist_text(agent_socket);
  if (auto now = fs::read_file(path); now && *now == text) return {};
  LAB_CHECK(fs::make_dirs(directory));
  return fs::write_file(path, text, 0644);
}

Result<void> remove_conflist(const std::string& directory) {
  return fs::remove_file(fs::join(directory, kConflistName));
}

}  // namespace lab::overlay
