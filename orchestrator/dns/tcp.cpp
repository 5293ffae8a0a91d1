#include "orchestrator/dns/tcp.h"

namespace lab::dns {
namespace {

// False when the stream ended before the first byte.
Task<Result<bool>> read_exactly(Stream& stream, std::span<char> into) {
  std::size_t have = 0;
  while (have < into.size()) {
    LAB_CO_TRY(auto n, co_await stream.read(into.subspan(have)));
    if (n == 0 && have == 0) co_return false;
    if (n == 0) co_return fail(Code::kIo, "the stream ended inside a message");
    have += n;
  }
  co_return true;
}

}  // namespace

Task<Result<std::string>> read_tcp_message(Stream& stream) {
  char length[2];
  LAB_CO_TRY(bool more, co_await read_exactly(stream, length));
  if (!more) co_return std::string();
  std::string out(std::size_t(static_cast<unsigned char>(length[0])) << 8 | static_cast<unsigned char>(length[1]),
                  '\0');
  if (out.empty()) co_return fail(Code::kBadRequest, "a message without content");
  LAB_CO_TRY(bool whole, co_await read_exactly(stream, out));
  if (!whole) co_return fail(Code::kIo, "the stream ended inside a message");
  co_return out;
}

Task<Result<void>> write_tcp_message(Stream& stream, std::string message) {
  std::string framed{static_cast<char>(message.size() >> 8), static_cast<char>(message.size())};
  framed += message;
  co_return co_await stream.write(framed);
}

}  // namespace lab::dns
