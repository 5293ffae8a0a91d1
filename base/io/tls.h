// TLS with a context that is made once and used for many connections; see stream.h for the one-off form.
#pragma once

#include "base/io/stream.h"
#include "base/io/tls_context.h"

namespace lab {

Task<Result<TlsDialed>> dial_tls(std::string host, int port, std::shared_ptr<TlsContext> context, Duration timeout);

}  // namespace lab
