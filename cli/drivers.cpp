#include "cli/drivers.h"

#include <cstdlib>

#include "bootstrap/local/profile.h"
#include "join/vm/driver.h"
#include "join/vm/machines.h"

namespace lab::cli {

void add_drivers() {
  bootstrap::add_driver("libvirt", [](const bootstrap::Profile& p) -> Result<std::unique_ptr<bootstrap::NodeDriver>> {
    const char* uri = std::getenv("LIBVIRT_DEFAULT_URI");
    return join::vm::make_libvirt_driver({.uri = uri && *uri ? uri : join::vm::kDefaultUri,
                                          .profile = p.name,
                                          .bridge = p.network.bridge,
                                          .subnet = p.network.subnet,
                                          .image = join::vm::kDefaultImage});
  });
}

}  // namespace lab::cli
