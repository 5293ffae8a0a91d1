// The entry of the one binary. Called as `lab` or `kubeadm` it reads commands; called as a CNI plugin it is that.
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/drivers.h"
#include "overlay-net/cni/plugin.h"

int main(int argc, char** argv) {
  const std::string program = argc > 0 ? argv[0] : "lab";
  if (lab::overlay::is_cni_program(program)) return lab::overlay::cni_main(program);
  const std::string name = program.substr(program.rfind('/') + 1);
  lab::cli::add_drivers();
  return lab::cli::run_command_line(name, std::vector<std::string>(argv + 1, argv + argc));
}
