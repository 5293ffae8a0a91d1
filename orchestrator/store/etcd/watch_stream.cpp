#include "orchestrator/store/etcd/watch_stream.h"

#include <algorithm>

#include "base/log.h"

namespace lab::store::etcd {

namespace {
constexpr Duration kFirstPause = std::chrono::milliseconds(50), kLongestPause = std::chrono::seconds(1);
}

WatchStream::WatchStream(Parts parts) : parts_(std::move(parts)), queued_(parts_.after), delivered_(parts_.after) {}

Task<void> WatchStream::follow(std::shared_ptr<WatchStream> self, std::shared_ptr<Cluster> cluster) {
  Loop& home = *Loop::current();
  Duration pause = kFirstPause;
  while (!self->stop_.stop_requested()) {
    Revision from;
    {
      std::lock_guard lock(self->mutex_);
      from = self->queued_;
    }
    std::stop_source attempt;
    std::stop_callback on_stop(self->stop_.get_token(), [&attempt] { attempt.request_stop(); });
    auto [channel, place] = cluster->current();
    // The last revision that was seen is asked for again, and its events dropped: so a compaction of exactly the next
    // one cannot pass unseen.
    auto ended = co_await channel->stream(
        kWatch, encode_watch(self->parts_.start, self->parts_.end, std::max<Revision>(from, 1)),
        [self, attempt](std::string message) { self->take(message, attempt); }, attempt.get_token());
    bool overflowed, progress;
    {
      std::lock_guard lock(self->mutex_);
      if (self->end_ || self->stop_.stop_requested()) co_return;
      overflowed = self->overflowed_;
      progress = self->queued_ > from;
    }
    if (overflowed) {
      co_await resume_on(*self->parts_.deliver);  // until the reader has come back
      co_await resume_on(home);
      std::lock_guard lock(self->mutex_);
      self->queued_ = self->delivered_;
      self->overflowed_ = false;
      continue;
    }
    if (progress) pause = kFirstPause;
    log::warn("a watch on etcd broke; it goes on where it stood",
              {{"revision", from}, {"why", ended ? std::string("etcd ended it") : ended.error().text()}});
    cluster->failed(place);
    if (!co_await sleep_for(pause, self->stop_.get_token())) co_return;
    pause = std::min(pause * 2, kLongestPause);
  }
}

void WatchStream::take(const std::string& message, std::stop_source attempt) {
  auto in = decode_watch(message);
  bool give_up = false;
  {
    std::lock_guard lock(mutex_);
    if (end_ || overflowed_) return;
    if (!in) {
      give_up = true;
    } else if (in->cancelled) {
      if (in->compacted > 0) {
        end_ = Error{.code = Code::kGone,
                     .message = "the watch stood at revision " + std::to_string(queued_) + "; history before " +
                                std::to_string(in->compacted) + " is compacted"};
        schedule();
      }
      give_up = true;
    } else {
      std::erase_if(in->events, [&](const Event& e) { return e.current.mod_revision <= queued_; });
      if (!in->events.empty()) {
        queued_ = in->events.back().current.mod_revision;
        queued_bytes_ += in->bytes;
        queue_.push_back(std::move(*in));
        if (queued_bytes_ > parts_.max_bytes && queue_.size() > 1) {
          queue_.clear();
          queued_bytes_ = 0;
          overflowed_ = give_up = true;
        } else {
          schedule();
        }
      }
    }
    if (!give_up && parts_.on_revision) parts_.on_revision(queued_);
  }
  if (give_up) attempt.request_stop();
}

void WatchStream::schedule() {
  if (std::exchange(scheduled_, true)) return;
  parts_.deliver->post([self = shared_from_this()] { self->deliver(); });
}

void WatchStream::deliver() {
  std::optional<Result<WatchBatch>> next;
  {
    std::lock_guard lock(mutex_);
    scheduled_ = false;
    if (!queue_.empty()) {
      queued_bytes_ -= queue_.front().bytes;
      next = std::move(queue_.front().events);
      queue_.pop_front();
      delivered_ = (*next)->back().current.mod_revision;
      if (!queue_.empty() || end_) schedule();
    } else if (end_) {
      next = std::unexpected(*end_);
    }
  }
  if (!next) return;
  std::lock_guard lock(calling_);
  if (closed_) return;
  if (!*next) closed_ = true;
  parts_.fn(std::move(*next));
}

void WatchStream::stop() {
  stop_.request_stop();
}

void WatchStream::close() {
  stop();
  std::lock_guard lock(calling_);
  closed_ = true;
}

}  // namespace lab::store::etcd
