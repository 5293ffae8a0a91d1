// The objects every cluster has from its first moment: system namespaces and priority classes.
#pragma once

#include "orchestrator/apiserver/object_reader.h"
#include "orchestrator/apiserver/object_writer.h"

namespace lab::apiserver {

// Makes what is missing; what is there stays as it is.
Task<Result<void>> make_system_objects(const ObjectReader& reader, ObjectWriter& writer);

}  // namespace lab::apiserver
