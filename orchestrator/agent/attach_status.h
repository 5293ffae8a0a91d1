// What an attach session over SPDY/3.1 tells its client at the end.
//
// A container may have said everything before the session's streams were joined to it, most likely a quick command of
// `kubectl run --rm -i`. The runtime then delivers nothing and reports success: the client shows nothing, and no error.
// Told that the session failed, it shows the container's log, as it does for a container that had ended before.
#pragma once

#include <functional>
#include <memory>

#include "base/io/stream.h"

namespace lab::agent {

// The runtime's side of a session, read through this: where its first data is the status of success, so that no output
// came before, and `output_unseen` says that there is some in the log, the status becomes a failure. All else passes as
// it is. SPDY/3.1, 2.2: data frames are not compressed; the frames of a session's streams come in order.
std::unique_ptr<Stream> telling_unseen_output(std::unique_ptr<Stream> runtime,
                                              std::function<Task<bool>()> output_unseen);

}  // namespace lab::agent
