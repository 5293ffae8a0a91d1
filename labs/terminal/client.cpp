#include "labs/terminal/client.h"

#include "base/fs.h"
#include "base/io/pool.h"
#include "base/subprocess.h"
#include "labs/terminal/daemon.h"
#include "labs/terminal/protocol.h"

namespace lab::terminal {

namespace {

constexpr auto kStartLimit = std::chrono::seconds(30);

// One connection to the keeper.
struct Talk {
  explicit Talk(std::unique_ptr<Stream> s) : stream(std::move(s)), reader(*stream), writer(*stream) {}
  std::unique_ptr<Stream> stream;
  FrameReader reader;
  FrameWriter writer;
};

Failure keeper_gone() {
  return fail(Code::kUnavailable, "the keeper of the lab's terminals has ended", "open a new terminal");
}

Task<Result<std::unique_ptr<Talk>>> dial(std::string socket) {
  auto stream = co_await dial_unix(std::move(socket));
  if (!stream) co_return keeper_gone();
  co_return std::make_unique<Talk>(std::move(*stream));
}

Task<Result<json::Value>> ask(Talk& talk, json::Value request) {
  LAB_CO_CHECK(co_await talk.writer.send(text_frame(request)));
  LAB_CO_TRY(auto frame, co_await talk.reader.read());
  if (!frame) co_return keeper_gone();
  LAB_CO_TRY(auto answer, json::parse(frame->data));
  LAB_CO_CHECK(decode_answer(answer));
  co_return answer;
}

Task<Result<json::Value>> ask_once(std::string socket, json::Value request) {
  LAB_CO_TRY(auto talk, co_await dial(std::move(socket)));
  co_return co_await ask(*talk, std::move(request));
}

std::vector<Terminal> terminals_of(const json::Value& answer) {
  std::vector<Terminal> out;
  for (const auto& one : json::list(answer, "terminals")) out.push_back(decode_terminal(one));
  return out;
}

Task<Result<void>> start_keeper_of(std::string profile, std::string socket) {
  if (co_await dial(socket)) co_return Result<void>();
  Pool pool("terminals", 1);
  auto done = co_await pool.run([profile] {
    return run({.argv = {fs::self_exe(), "terminals", profile}, .directory = "/", .timeout = kStartLimit});
  });
  if (!done) co_return std::unexpected(std::move(done).error());
  if (done->ok()) co_return Result<void>();
  co_return fail(Code::kUnavailable, "no terminal in lab \"" + profile + "\": " + done->err.substr(0, 500));
}

Task<Result<std::string>> open_at(std::string profile, std::string socket, json::Value request) {
  // A keeper that had nothing to do may end between the two.
  for (int last = 0; last < 2; ++last) {
    LAB_CO_CHECK(co_await start_keeper_of(profile, socket));
    auto talk = co_await dial(socket);
    if (!talk) continue;
    LAB_CO_CHECK(co_await (*talk)->writer.send(text_frame(request)));
    LAB_CO_TRY(auto frame, co_await (*talk)->reader.read());
    if (!frame) continue;
    LAB_CO_TRY(auto answer, json::parse(frame->data));
    LAB_CO_CHECK(decode_answer(answer));
    co_return std::string(json::str(answer, "id"));
  }
  co_return keeper_gone();
}

Task<Result<std::vector<Terminal>>> list_at(std::string socket) {
  auto talk = co_await dial(std::move(socket));
  if (!talk) co_return std::vector<Terminal>();
  LAB_CO_TRY(auto answer, co_await ask(**talk, json::Object{{"do", "list"}}));
  co_return terminals_of(answer);
}

Task<Result<void>> close_at(std::string socket, std::string id) {
  auto talk = co_await dial(std::move(socket));
  if (!talk) co_return Result<void>();
  LAB_CO_CHECK(co_await ask(**talk, json::Object{{"do", "close"}, {"id", id}}));
  co_return Result<void>();
}

Task<Result<void>> type_at(std::string socket, std::string id, std::string text) {
  LAB_CO_CHECK(co_await ask_once(std::move(socket), json::Object{{"do", "type"}, {"id", id}, {"text", text}}));
  co_return Result<void>();
}

class AttachmentImpl final : public Attachment {
 public:
  explicit AttachmentImpl(std::unique_ptr<Talk> talk) : talk_(std::move(talk)) {}
  ~AttachmentImpl() override { close(); }

  Task<Result<std::optional<Event>>> read() override {
    LAB_CO_TRY(auto frame, co_await talk_->reader.read());
    if (!frame) co_return std::nullopt;
    LAB_CO_TRY(auto event, decode_event(*frame));
    co_return std::optional(std::move(event));
  }
  Task<Result<void>> input(std::string bytes) override {
    // As pieces that fit into a frame.
    for (std::size_t at = 0; at < bytes.size(); at += kMaxFrame)
      LAB_CO_CHECK(co_await talk_->writer.send(command_frame(Input{bytes.substr(at, kMaxFrame)})));
    co_return Result<void>();
  }
  Task<Result<void>> resize(int cols, int rows) override {
    LAB_CO_CHECK(check_size(cols, rows));
    co_return co_await talk_->writer.send(command_frame(Resize{cols, rows}));
  }
  Task<Result<void>> ack(std::uint64_t offset) override {
    co_return co_await talk_->writer.send(command_frame(Ack{offset}));
  }
  void close() override { talk_->stream->close(); }

 private:
  std::unique_ptr<Talk> talk_;
};

class WatchImpl final : public Watch {
 public:
  explicit WatchImpl(std::unique_ptr<Talk> talk) : talk_(std::move(talk)) {}
  ~WatchImpl() override { close(); }

  Task<Result<std::optional<std::vector<Terminal>>>> next() override {
    LAB_CO_TRY(auto frame, co_await talk_->reader.read());
    if (!frame) co_return std::nullopt;
    LAB_CO_TRY(auto v, json::parse(frame->data));
    co_return std::optional(terminals_of(v));
  }
  void close() override { talk_->stream->close(); }

 private:
  std::unique_ptr<Talk> talk_;
};

Task<Result<std::unique_ptr<Attachment>>> attach_at(std::string socket, std::string id, std::uint64_t from) {
  LAB_CO_TRY(auto talk, co_await dial(std::move(socket)));
  LAB_CO_CHECK(co_await ask(*talk, json::Object{{"do", "attach"}, {"id", id}, {"from", from}}));
  co_return std::make_unique<AttachmentImpl>(std::move(talk));
}

Task<Result<std::unique_ptr<Watch>>> watch_at(std::string socket) {
  LAB_CO_TRY(auto talk, co_await dial(std::move(socket)));
  LAB_CO_CHECK(co_await ask(*talk, json::Object{{"do", "watch"}}));
  co_return std::make_unique<WatchImpl>(std::move(talk));
}

}  // namespace

Terminals::Terminals(std::string profile) : Terminals(profile, socket_path(profile)) {}

Task<Result<void>> Terminals::ensure_keeper() const {
  return start_keeper_of(profile_, socket_);
}
Task<Result<std::vector<Terminal>>> Terminals::list() const {
  return list_at(socket_);
}
Task<Result<std::string>> Terminals::open(std::string node, int cols, int rows) const {
  return open_at(profile_, socket_, json::Object{{"do", "open"}, {"node", node}, {"cols", cols}, {"rows", rows}});
}
Task<Result<void>> Terminals::close(std::string id) const {
  return close_at(socket_, std::move(id));
}
Task<Result<void>> Terminals::type(std::string id, std::string text) const {
  return type_at(socket_, std::move(id), std::move(text));
}
Task<Result<std::unique_ptr<Attachment>>> Terminals::attach(std::string id, std::uint64_t from) const {
  return attach_at(socket_, std::move(id), from);
}
Task<Result<std::unique_ptr<Watch>>> Terminals::watch() const {
  return watch_at(socket_);
}

}  // namespace lab::terminal
