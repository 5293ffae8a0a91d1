// The second port: /S/NODE/PORT/... is passed to that port of the student's own node, HTTP and WebSocket alike.
#pragma once

#include "base/http/server.h"
#include "labs/classroom/server/service.h"

namespace lab::classroom {

// Answers one request of the second port. A student may reach the own lab; a teacher that of the student whom the
// teacher's page looks at, so that one student's page, opened by a teacher, does not reach what others run.
Task<void> answer_port(Service& service, http::Request& request, http::ResponseWriter& writer);

}  // namespace lab::classroom
