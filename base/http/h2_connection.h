// One HTTP/2 connection of the server (RFC 9113), over nghttp2's session, which does no I/O of its own.
//
// The pump reads and feeds the session; complete requests start their handlers, each a task of its own on this loop.
// What the session wants to send is collected by one writing task, so that many small answers share one write.
// nghttp2 calls back in the middle of its work: callbacks only note what happened, settle() acts on it afterwards.
#pragma once

#include <nghttp2/nghttp2.h>

#include <deque>
#include <unordered_map>
#include <vector>

#include "base/http/connection.h"
#include "base/io/sync.h"

namespace lab::http {

struct H2Stream {
  std::int32_t id = 0;
  Request request;
  std::size_t head_bytes = 0;
  bool dispatched = false;    // a handler runs or ran, or a refusal was sent
  bool gone = false;          // reset, or the connection ended
  int refused = 0;            // status of a refusal that does not wait for the rest of the request
  std::size_t discarded = 0;  // bytes that came after a refusal

  // The answer's body on its way out.
  std::deque<Buffer> pieces;
  std::size_t offset = 0;  // into pieces.front()
  std::size_t queued = 0;  // bytes in pieces
  bool finished = false;   // no more will come
  bool deferred = false;   // the session waits for more
  bool streaming = false;
  Event drained;
  std::stop_source stop;
};

class H2Connection final : public Connection, public std::enable_shared_from_this<H2Connection> {
 public:
  H2Connection(Worker& worker, std::unique_ptr<Stream> stream, Peer peer);
  ~H2Connection() override;
  static Task<void> pump(std::shared_ptr<H2Connection> self);

  void drain() override;
  void abort() override;
  bool overdue(TimePoint now) const override;

  // For the writer.
  bool submit(H2Stream& stream, int status, const Headers& headers, bool has_body);
  void more(H2Stream& stream);  // pieces or the end were added
  Shared& shared() { return worker_.shared; }
  bool draining() const { return draining_; }

 private:
  friend struct H2Callbacks;
  static Task<void> run_stream(std::shared_ptr<H2Connection> self, std::shared_ptr<H2Stream> stream);
  static Task<void> write_out(std::shared_ptr<H2Connection> self);
  void settle();
  void flush();
  void collect();
  void lose();  // the connection is of no more use: every stream is told
  bool finished() const;

  std::unique_ptr<Stream> stream_;
  Peer peer_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<std::int32_t, std::shared_ptr<H2Stream>> streams_;
  std::vector<std::shared_ptr<H2Stream>> ready_;    // to be dispatched
  std::vector<std::shared_ptr<H2Stream>> ended_;    // closed: tell their handlers
  std::vector<std::shared_ptr<H2Stream>> drained_;  // have room again
  std::string out_;
  bool lost_ = false, draining_ = false, writing_ = false, settling_ = false;
  int running_ = 0;  // handlers, also those of streams that are gone
  TimePoint since_;  // of the last bytes either way
};

class H2Writer final : public ResponseWriter {
 public:
  H2Writer(std::shared_ptr<H2Connection> connection, std::shared_ptr<H2Stream> stream, bool head_only, bool gzip)
      : connection_(std::move(connection)), stream_(std::move(stream)), head_only_(head_only), gzip_(gzip) {}

  Task<Result<void>> send(Response response) override;
  Task<Result<void>> begin(int status, Headers headers) override;
  Task<Result<void>> write(Buffer piece) override;
  Task<Result<void>> end() override;
  Task<Result<std::unique_ptr<Stream>>> upgrade(Response head) override;
  std::stop_token closed() override { return stream_->stop.get_token(); }
  bool answered() const { return state_ != State::kNothing; }
  bool complete() const { return state_ == State::kDone; }

 private:
  enum class State { kNothing, kStreaming, kDone };
  std::shared_ptr<H2Connection> connection_;
  std::shared_ptr<H2Stream> stream_;
  bool head_only_, gzip_;
  State state_ = State::kNothing;
};

}  // namespace lab::http
