// What a teacher asks of a whole class: docs/classroom-api.md, "The teacher's".
#pragma once

#include "labs/classroom/server/router.h"

namespace lab::classroom {

void add_teacher_routes(Router& router);

}  // namespace lab::classroom
