// lab class create: the row of the command table.
#pragma once

#include "cli/command.h"

namespace lab::cli {

Command class_create_command();

}  // namespace lab::cli
