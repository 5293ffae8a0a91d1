#include "labs/terminal/socket.h"

#include "base/json.h"
#include "tests/unit/labs/terminal/running_keeper.h"

namespace lab::terminal {
namespace {

// A browser on the other end of a served terminal.
struct Page {
  std::unique_ptr<http::WebSocket> socket;
  std::string output;
  std::vector<json::Value> texts;

  Task<bool> until(std::function<bool()> holds) {
    Deadline deadline(kPatience, [this] { socket->abort(); });
    while (!holds()) {
      auto message = co_await socket->read();
      if (!message || !*message) co_return false;
      if ((*message)->binary) {
        output += (*message)->data;
      } else if (auto v = json::parse((*message)->data)) {
        texts.push_back(*v);
      }
    }
    co_return true;
  }
  Task<bool> until_output(std::string what) {
    auto there = [this, what] { return output.find(what) != std::string::npos; };
    co_return co_await until(there);
  }
  Task<bool> until_text(std::string type) {
    auto there = [this, type] { return !texts.empty() && json::str(texts.back(), "type") == type; };
    co_return co_await until(there);
  }
  Task<int> until_closed() {
    (void)co_await until([] { return false; });
    co_return socket->close_code();
  }
  Task<void> say(json::Value text) { (void)co_await socket->send(false, json::dump(text)); }
};

using Story = std::function<Task<void>(Page&, Terminals, std::string id, std::stop_source)>;

Task<void> serve_and_tell(Terminals terminals, Story story) {
  auto id = co_await terminals.open("here", 80, 24);
  CO_ASSERT(id);
  auto view = co_await terminals.attach(*id, 0);
  CO_ASSERT(view);
  auto [ours, theirs] = stream_pair();
  std::stop_source stop;
  Scope scope(*Loop::current());
  bool served = false;
  scope.spawn("serve", serve(http::WebSocket::server(std::move(ours)), std::move(*view), stop.get_token()));
  {
    Page page{http::WebSocket::client(std::move(theirs)), {}, {}};
    co_await story(page, terminals, *id, stop);
    served = true;
  }
  co_await scope.close();  // that is: serve() has returned, however the page left
  EXPECT_TRUE(served);
  // The terminal is still there, or was closed by the story.
  EXPECT_TRUE(co_await terminals.list());
}

void tell(Story story) {
  RunningKeeper keeper;
  run_task(serve_and_tell(keeper.terminals(), std::move(story)));
}

Task<void> types(Page& page, Terminals, std::string, std::stop_source) {
  CO_ASSERT(co_await page.until_text("start"));
  EXPECT_EQ(json::num(page.texts[0], "offset"), 0);
  EXPECT_EQ(json::num(page.texts[0], "cols"), 80);
  (void)co_await page.socket->send(true, "echo h''ello\n");
  CO_ASSERT(co_await page.until_output("hello"));
  co_await page.say(json::Object{{"type", "ack"}, {"offset", page.output.size()}});
  co_await page.say(json::Object{{"type", "resize"}, {"cols", 99}, {"rows", 33}});
  (void)co_await page.socket->send(true, "stty size; exit 4\n");
  CO_ASSERT(co_await page.until_text("exit"));
  EXPECT_NE(page.output.find("33 99"), std::string::npos);
  EXPECT_EQ(json::num(page.texts.back(), "code"), 4);
  (void)co_await page.socket->close();
}
TEST(Socket, SpeaksTheDocumentsProtocol) {
  tell(types);
}

Task<void> vanishes(Page& page, Terminals terminals, std::string id, std::stop_source) {
  CO_ASSERT(co_await page.until_output("$ "));
  (void)co_await page.socket->send(true, "sleep 0.3; echo af''ter\n");
  page.socket->abort();
  auto again = co_await terminals.attach(id, 0);
  CO_ASSERT(again);
  Viewer viewer(std::move(*again));
  EXPECT_TRUE(co_await viewer.until_text("after")) << "the shell went on";
}
TEST(Socket, APageThatVanishesLeavesTheShell) {
  tell(vanishes);
}

Task<void> babbles(Page& page, Terminals, std::string, std::stop_source) {
  CO_ASSERT(co_await page.until_text("start"));
  (void)co_await page.socket->send(false, "{\"type\": \"exec\"}");
  EXPECT_EQ(co_await page.until_closed(), 1008);
}
TEST(Socket, WhoBreaksTheProtocolIsTold) {
  tell(babbles);
}

Task<void> is_closed(Page& page, Terminals terminals, std::string id, std::stop_source) {
  CO_ASSERT(co_await page.until_text("start"));
  CO_ASSERT(co_await terminals.close(id));
  EXPECT_EQ(co_await page.until_closed(), 1000);
}
TEST(Socket, EndsWithTheTerminal) {
  tell(is_closed);
}

Task<void> server_ends(Page& page, Terminals, std::string, std::stop_source stop) {
  CO_ASSERT(co_await page.until_text("start"));
  stop.request_stop();
  EXPECT_EQ(co_await page.until_closed(), 1001);
}
TEST(Socket, EndsWithTheServer) {
  tell(server_ends);
}

Task<void> never_acknowledges(Page& page, Terminals terminals, std::string id, std::stop_source) {
  (void)co_await page.socket->send(true, "yes | head -c 3000000; echo th''eend\n");
  auto full = [&page] { return page.output.size() >= kAhead; };
  CO_ASSERT(co_await page.until(full));
  EXPECT_EQ(page.output.size(), kAhead);
  // It is sent nothing more, while the terminal goes on.
  for (int i = 0; i < 600; ++i) {
    auto list = co_await terminals.list();
    CO_ASSERT(list && !list->empty());
    if (list->front().end >= 3'000'000) break;
    co_await sleep_for(std::chrono::milliseconds(50));
  }
  co_await page.say(json::Object{{"type", "ack"}, {"offset", page.output.size()}});
  auto again = [&page] { return page.texts.size() >= 2; };
  CO_ASSERT(co_await page.until(again));
  EXPECT_EQ(json::str(page.texts.back(), "type"), "start");
  EXPECT_GT(json::num(page.texts.back(), "offset"), 1'500'000);
}
TEST(Socket, RunsAheadOnlySoFar) {
  tell(never_acknowledges);
}

}  // namespace
}  // namespace lab::terminal
