// The keeper's process: `lab terminals PROFILE` starts it in the background, in a session of its own, unless there is
// one already. Files: PROFILE.sock (0600), and PROFILE.log with what it has to say; both go with it.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace lab::terminal {

std::string socket_path(const std::string& profile);

// Returns when it answers; whoever called is not its parent. It returns nowhere. For a process of one thread that does
// nothing else: every descriptor above 2 is closed in the keeper.
Result<void> start_keeper(const std::string& profile);

// Files of a keeper that has gone. Directories go with the last of them.
void remove_keeper_files(const std::string& profile);

// Held while a socket is looked at, made or removed, so that a lab has one keeper.
Result<std::shared_ptr<void>> lock_keepers();

}  // namespace lab::terminal
