// The API for parts of the same process: requests run through the filter chain on the caller's loop, without sockets.
#pragma once

#include <functional>
#include <memory>

#include "base/http/server.h"
#include "orchestrator/apiserver/identity.h"
#include "orchestrator/client/client.h"

namespace lab::apiserver {

using ServeAs = std::function<Task<void>(http::Request, http::ResponseWriter&, std::optional<Identity>)>;

// `keep` stays alive as long as a request of this transport runs.
std::unique_ptr<client::Transport> make_in_process_transport(ServeAs serve, Identity user, Loop& loop,
                                                             std::shared_ptr<void> keep);

}  // namespace lab::apiserver
