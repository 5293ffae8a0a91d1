#include "cli/groups.h"

namespace lab::cli {

Commands daemon_commands() { return {}; }

}  // namespace lab::cli
