// Keeper::Connection: one client of the keeper.
#pragma once

#include "labs/terminal/keeper.h"

namespace lab::terminal {

class Keeper::Connection {
 public:
  Connection(Keeper& keeper, std::unique_ptr<Stream> stream)
      : keeper_(keeper), stream_(std::move(stream)), reader_(*stream_), writer_(*stream_) {}

  Task<void> run();
  void close() { stream_->close(); }
  bool only_watches() const { return watches_; }

 private:
  // What a request is answered, or why not.
  Task<Result<json::Value>> answer(json::Value request);
  Task<void> view(std::shared_ptr<HeldTerminal> terminal, std::uint64_t from);
  Task<void> show(std::shared_ptr<HeldTerminal> terminal, std::uint64_t from);
  Task<Result<void>> show_output(HeldTerminal& terminal);
  Task<void> watch();
  Task<void> show_lists(std::stop_token stop);

  Keeper& keeper_;
  std::unique_ptr<Stream> stream_;
  FrameReader reader_;
  FrameWriter writer_;
  bool watches_ = false;

  // Of a view: what was sent, and what the viewer has drawn of it.
  std::uint64_t sent_ = 0, drawn_ = 0;
  int cols_ = 0, rows_ = 0;  // as the viewer knows them
  bool left_ = false;
};

}  // namespace lab::terminal
