#include "tests/unit/base/http/fixture.h"

#include "base/io/scope.h"

namespace lab::http::test {

std::string HttpTest::run(std::vector<std::string> argv, std::string input, int expected_status) {
  Command command{.argv = std::move(argv), .stdin_text = std::move(input), .timeout = std::chrono::seconds(60)};
  std::string shown;
  for (const auto& a : command.argv) shown += a + " ";
  auto r = lab::run(std::move(command));
  EXPECT_TRUE(r) << r.error().text();
  if (!r) return {};
  EXPECT_EQ(r->exit_code, expected_status) << shown << "\n" << r->err;
  return r->out;
}

namespace {
Task<std::string> raw_exchange(int port, std::string bytes, bool end_after) {
  auto s = co_await dial_tcp("127.0.0.1", port, std::chrono::seconds(10));
  if (!s) co_return "error: " + s.error().text();
  (void)co_await (*s)->write(bytes);
  if (end_after) (void)co_await (*s)->shutdown_write();
  std::string out;
  char buffer[4096];
  while (true) {
    auto n = co_await (*s)->read(buffer);
    if (!n || *n == 0) co_return out;
    out.append(buffer, *n);
  }
}
}  // namespace

std::string HttpTest::raw(std::string bytes, bool end_after) {
  return run_task(raw_exchange(server_->port(), std::move(bytes), end_after));
}

}  // namespace lab::http::test
