#include "labs/terminal/connection.h"

namespace lab::terminal {

namespace {

constexpr std::size_t kPiece = 32 * 1024;  // of output in one frame

std::string text_of(const json::Value& v, std::string_view key) {
  return std::string(json::str(v, key));
}

json::Value fine(json::Object fields = {}) {
  fields["ok"] = true;
  return fields;
}

Failure no_terminal(const std::string& id) {
  return fail(Code::kNotFound, "there is no terminal \"" + id + "\"",
              "it was closed, or the lab's terminals began anew");
}

}  // namespace

Task<void> Keeper::Connection::run() {
  while (true) {
    auto frame = co_await reader_.read();
    if (frame && !*frame) co_return;
    Result<json::Value> request = fail(Code::kBadRequest, "a request is a text");
    if (!frame) {
      request = std::unexpected(frame.error());
    } else if (!(*frame)->binary) {
      request = json::parse((*frame)->data);
    }
    if (!request && request.error().code == Code::kCancelled) co_return;
    Result<json::Value> answered = request;
    if (request) answered = co_await answer(*request);
    auto told = co_await writer_.send(text_frame(answered ? *answered : encode_error(answered.error())));
    if (!told || !request) co_return;
    const auto what = json::str(*request, "do");
    if (!answered) continue;
    if (what == "attach") {
      if (auto terminal = keeper_.find(text_of(*request, "id")))
        co_await view(terminal, static_cast<std::uint64_t>(std::max<std::int64_t>(json::num(*request, "from"), 0)));
      co_return;
    }
    if (what == "watch") {
      co_await watch();
      co_return;
    }
    if (what == "end") {
      keeper_.end();
      (void)co_await reader_.read();  // its end is ours
      co_return;
    }
  }
}

Task<Result<json::Value>> Keeper::Connection::answer(json::Value request) {
  const auto what = json::str(request, "do");
  const auto id = text_of(request, "id");
  if (what == "list") co_return fine({{"terminals", keeper_.list()}});
  if (what == "open") {
    const auto cols = json::num(request, "cols"), rows = json::num(request, "rows");
    LAB_CO_CHECK(check_size(cols, rows));
    co_return co_await keeper_.open(text_of(request, "node"), static_cast<int>(cols), static_cast<int>(rows));
  }
  if (what == "close") {
    keeper_.close(id);
    co_return fine();
  }
  if (what == "attach" || what == "type") {
    auto terminal = keeper_.find(id);
    if (!terminal) co_return no_terminal(id);
    const auto text = json::str(request, "text");
    if (what == "type" && terminal->full() && text.size() > 1)  // one key may be the one that helps
      co_return fail(Code::kUnavailable, "what runs in terminal \"" + id + "\" does not read what is typed",
                     "interrupt it");
    if (what == "type") terminal->input(text);
    co_return fine();
  }
  if (what == "watch" || what == "end") co_return fine();
  co_return fail(Code::kBadRequest, "the keeper of terminals cannot \"" + std::string(what) + "\"");
}

Task<void> Keeper::Connection::view(std::shared_ptr<HeldTerminal> terminal, std::uint64_t from) {
  Scope writing(*Loop::current());
  writing.start("terminal view", show(terminal, from));
  while (true) {
    auto frame = co_await reader_.read();
    if (!frame || !*frame) break;
    auto command = decode_command(std::move(**frame));
    if (!command) break;
    if (auto* typed = std::get_if<Input>(&*command)) {
      terminal->input(typed->bytes);
      while (terminal->full() && !left_) co_await terminal->room().wait();
    } else if (auto* size = std::get_if<Resize>(&*command)) {
      cols_ = size->cols;
      rows_ = size->rows;
      terminal->resize(cols_, rows_);
    } else if (auto* ack = std::get_if<Ack>(&*command)) {
      drawn_ = std::max(drawn_, std::min(ack->offset, sent_));
      terminal->news().notify();
    }
  }
  left_ = true;
  terminal->news().notify();
  stream_->close();
  co_await writing.close();
}

Task<void> Keeper::Connection::show(std::shared_ptr<HeldTerminal> terminal, std::uint64_t from) {
  sent_ = drawn_ = terminal->output().resume(from);
  cols_ = terminal->cols();
  rows_ = terminal->rows();
  Result<void> told = co_await writer_.send(event_frame(Start{sent_, terminal->output().end(), cols_, rows_}));
  bool end_told = false;
  while (told && !left_ && !terminal->hung_up()) {
    if (cols_ != terminal->cols() || rows_ != terminal->rows()) {
      cols_ = terminal->cols();
      rows_ = terminal->rows();
      told = co_await writer_.send(event_frame(Resized{cols_, rows_}));
    } else if (sent_ < terminal->output().end() && sent_ - drawn_ < kAhead) {
      told = co_await show_output(*terminal);
    } else if (terminal->exited() && !end_told && sent_ == terminal->output().end()) {
      end_told = true;
      told = co_await writer_.send(event_frame(Exited{*terminal->describe().exited}));
    } else {
      co_await terminal->news().wait();
    }
  }
  left_ = true;
  terminal->room().notify();
  stream_->close();
}

Task<Result<void>> Keeper::Connection::show_output(HeldTerminal& terminal) {
  const auto& output = terminal.output();
  if (sent_ < output.begin()) {
    sent_ = drawn_ = output.resume(sent_);
    // Nothing of it is of the past: a page that takes it for that would not let its user interrupt an endless flood.
    LAB_CO_CHECK(co_await writer_.send(event_frame(Start{sent_, sent_, cols_, rows_})));
    // Sending may have taken long: what is sent next must be there still.
    if (sent_ < output.begin()) co_return Result<void>();
  }
  auto bytes = output.read(sent_, std::min<std::uint64_t>(kPiece, kAhead - (sent_ - drawn_)));
  sent_ += bytes.size();
  co_return co_await writer_.send(event_frame(Output{std::move(bytes)}));
}

Task<void> Keeper::Connection::watch() {
  watches_ = true;
  Scope writing(*Loop::current());
  writing.start("terminals watch", show_lists(writing.token()));
  (void)co_await reader_.read();  // nothing more is said
  stream_->close();
  writing.request_stop();
  co_await writing.close();
}

Task<void> Keeper::Connection::show_lists(std::stop_token stop) {
  std::string last;
  while (!stop.stop_requested()) {
    if (auto frame = text_frame(fine({{"terminals", keeper_.list()}})); frame.data != last) {
      last = frame.data;
      if (!co_await writer_.send(std::move(frame))) break;
    } else if (!co_await keeper_.changed_.wait(stop)) {
      break;
    }
  }
  stream_->close();
}

}  // namespace lab::terminal
