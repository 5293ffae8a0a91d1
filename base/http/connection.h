// What the server's connections of both versions share.
//
// A Worker is one connection thread. Its connections register themselves; the worker closes idle ones and drains or
// aborts all when the server stops. Everything here but Shared is used on the worker's loop only.
#pragma once

#include <atomic>
#include <memory>
#include <unordered_set>

#include "base/http/server.h"
#include "base/io/pool.h"
#include "base/io/scope.h"

namespace lab::http {

// Read-only while connections run, except where a member is atomic.
struct Shared {
  ServerOptions options;
  Handler handler;
  std::atomic<int> connections = 0;
  Pool compressors{"http-gzip", 2};
};

class Connection;

struct Worker {
  Worker(Shared& s, int index) : shared(s), thread("http-" + std::to_string(index)), scope(thread.loop()) {}
  Shared& shared;
  LoopThread thread;
  Scope scope;  // every task of every connection of this thread
  std::unordered_set<Connection*> connections;
  bool draining = false;

  EventLoop& loop() { return thread.loop(); }
};

class Connection {
 public:
  explicit Connection(Worker& worker) : worker_(worker) {
    worker_.connections.insert(this);
    ++worker_.shared.connections;
  }
  virtual ~Connection() {
    worker_.connections.erase(this);
    --worker_.shared.connections;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  virtual void drain() = 0;  // finish what runs, end what streams, take nothing new
  virtual void abort() = 0;  // close now; handlers see closed() and failing writes
  // Whether nothing has happened for longer than the rules allow.
  virtual bool overdue(TimePoint now) const = 0;

 protected:
  Worker& worker_;
};

// Take over the stream and run until it ends, as tasks of the worker's scope.
void serve_h1(Worker& worker, std::unique_ptr<Stream> stream, Peer peer);
void serve_h2(Worker& worker, std::unique_ptr<Stream> stream, Peer peer);

// Runs the handler; what it throws is logged as the bug it is. False then.
Task<bool> run_handler(const Handler& handler, Request request, ResponseWriter& writer);
// Unzips a request body where its headers say so. TooLarge, BadRequest, UnsupportedMedia.
Result<void> decode_body(Request& request, std::size_t limit);
// Zips a large response where the client takes it.
Task<void> encode_body(Shared& shared, bool client_takes_gzip, Response& response);

std::string_view reason_phrase(int status);
std::string_view date_value();  // of now; kept per thread and second
bool has_no_body(int status);   // 1xx, 204, 304
Failure client_gone();

}  // namespace lab::http
