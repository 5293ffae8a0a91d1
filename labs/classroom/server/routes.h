// The rows of the interface, by who they are for. The teacher's are in teacher.h.
#pragma once

#include "labs/classroom/server/router.h"
#include "labs/classroom/server/service.h"

namespace lab::classroom {

void add_common_routes(Router& router);   // /api/me, /api/course, /api/events
void add_student_routes(Router& router);  // labs, nodes, exercises, files
void add_terminal_routes(Router& router);

// /api/events: states as they change, until the page goes or may not see them any more.
Task<Result<http::Response>> events(Call& call);

}  // namespace lab::classroom
