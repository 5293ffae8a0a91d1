#include "labs/terminal/protocol.h"

#include <gtest/gtest.h>

#include <random>

#include "base/io/scope.h"

namespace lab::terminal {
namespace {

TEST(Protocol, EventsComeBackAsTheyWent) {
  const auto start = decode_event(event_frame(Start{5'000'000'000, 5'000'000'007, 100, 30}));
  ASSERT_TRUE(start);
  EXPECT_EQ(std::get<Start>(*start).offset, 5'000'000'000u);
  EXPECT_EQ(std::get<Start>(*start).end, 5'000'000'007u);
  EXPECT_EQ(std::get<Start>(*start).cols, 100);
  const std::string bytes("\0\xff{\"type\": \"exit\"}", 18);
  EXPECT_EQ(std::get<Output>(*decode_event(event_frame(Output{bytes}))).bytes, bytes) << "output is never read as JSON";
  EXPECT_EQ(std::get<Exited>(*decode_event(event_frame(Exited{130}))).code, 130);
  EXPECT_EQ(std::get<Resized>(*decode_event(event_frame(Resized{7, 9}))).rows, 9);
}

TEST(Protocol, TheFormIsThatOfTheDocument) {
  EXPECT_EQ(event_frame(Exited{7}).data, R"({"code":7,"type":"exit"})");
  const auto ack = decode_command({false, R"({"type": "ack", "offset": 12})"});
  ASSERT_TRUE(ack);
  EXPECT_EQ(std::get<Ack>(*ack).offset, 12u);
  const auto size = decode_command({false, R"({"type": "resize", "cols": 120, "rows": 40})"});
  ASSERT_TRUE(size);
  EXPECT_EQ(std::get<Resize>(*size).cols, 120);
}

TEST(Protocol, CommandsThatMakeNoSenseAreRefused) {
  for (const char* text :
       {"", "{", "[]", "null", "7", R"({"type": "exec"})", R"({"type": "ack"})", R"({"type": "ack", "offset": -1})",
        R"({"type": "ack", "offset": "x"})", R"({"type": "resize", "cols": 0, "rows": 5})",
        R"({"type": "resize", "cols": 80, "rows": 100000})", R"({"type": "resize", "cols": 9e99, "rows": 3})"}) {
    auto command = decode_command({false, text});
    ASSERT_FALSE(command) << text;
    EXPECT_EQ(command.error().code, Code::kBadRequest) << text;
  }
}

TEST(Protocol, ErrorsKeepTheirMeaning) {
  Error error{.code = Code::kNotFound, .message = "there is no node", .hint = "lab node list"};
  auto back = decode_answer(encode_error(error));
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, Code::kNotFound);
  EXPECT_EQ(back.error().text(), error.text());
  EXPECT_TRUE(decode_answer(json::Object{{"ok", true}}));
}

Task<Result<std::optional<Frame>>> read_after(std::string bytes, std::size_t piece) {
  auto [mine, theirs] = stream_pair();
  Scope scope(*Loop::current());
  auto write = [](Stream& to, std::string all, std::size_t n) -> Task<void> {
    for (std::size_t at = 0; at < all.size(); at += n) (void)co_await to.write(std::string_view(all).substr(at, n));
    (void)co_await to.shutdown_write();
  };
  scope.start("write", write(*mine, bytes, piece));
  FrameReader reader(*theirs);
  auto frame = co_await reader.read();
  mine->close();
  theirs->close();
  co_await scope.close();
  co_return frame;
}

TEST(Frames, ComeInPiecesOfAnyLength) {
  const Frame frame{true, std::string(1000, 'x')};
  for (std::size_t piece : {1, 3, 5, 7, 1000, 5000}) {
    auto got = run_task(read_after(frame_head(frame) + frame.data, piece));
    ASSERT_TRUE(got && *got);
    EXPECT_TRUE((*got)->binary);
    EXPECT_EQ((*got)->data, frame.data);
  }
}

TEST(Frames, OneThatIsCutOffIsTheEnd) {
  const std::string whole = frame_head({false, "{}"}) + "{}";
  for (std::size_t n = 0; n < whole.size(); ++n) {
    auto got = run_task(read_after(whole.substr(0, n), 100));
    ASSERT_TRUE(got) << n;
    EXPECT_FALSE(*got) << n;
  }
}

TEST(Frames, GarbageIsRefusedWithoutMemory) {
  EXPECT_FALSE(run_task(read_after(std::string("\xff\xff\xff\xff") + "T", 100))) << "4 GiB";
  EXPECT_FALSE(run_task(read_after(std::string("\0\0\0\1", 4) + "?x", 100))) << "no kind";
  std::mt19937 random(11);
  for (int i = 0; i < 200; ++i) {
    std::string bytes(random() % 64, ' ');
    for (auto& c : bytes) c = static_cast<char>(random());
    auto got = run_task(read_after(bytes, 1 + random() % 16));  // returns, whatever it says
    if (got && *got) EXPECT_LE((*got)->data.size(), bytes.size());
  }
}

}  // namespace
}  // namespace lab::terminal
