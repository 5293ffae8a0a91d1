// The records of what Services have, in a store that several servers share (see ranges.h): brought in line with the
// Services when a server starts. Services from before there were records, or from a store that had a single server, get
// theirs; a record whose Service is not there goes. May run on several servers at once.
#pragma once

#include <functional>

#include "base/io/task.h"
#include "orchestrator/apiserver/object_reader.h"
#include "orchestrator/store/store.h"

namespace lab::apiserver::hooks {

// `catch_up` waits until the reader shows all that was acknowledged before it was called.
Task<Result<void>> reconcile_service_records(store::Store& store, const ObjectReader& reader,
                                             std::function<Task<Result<void>>()> catch_up);

}  // namespace lab::apiserver::hooks
