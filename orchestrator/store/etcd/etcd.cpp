#include "orchestrator/store/etcd/etcd.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <future>

#include "base/io/scope.h"
#include "base/log.h"
#include "orchestrator/store/etcd/watch_stream.h"

namespace lab::store {

namespace {

using etcd::Cluster;
using Kind = Cluster::Kind;

constexpr std::size_t kPage = 1000;  // objects that one answer of an unlimited range carries
constexpr Duration kLookEvery = std::chrono::seconds(2);

class EtcdWatch final : public Watch {
 public:
  explicit EtcdWatch(std::shared_ptr<etcd::WatchStream> stream) : stream_(std::move(stream)) {}
  ~EtcdWatch() override { stream_->close(); }

 private:
  std::shared_ptr<etcd::WatchStream> stream_;
};

class EtcdStore final : public Store {
 public:
  EtcdStore(EtcdOptions options, std::shared_ptr<Cluster> cluster)
      : options_(std::move(options)), cluster_(std::move(cluster)) {}

  ~EtcdStore() override {
    run_on_loop([this]() -> Task<void> {
      {
        std::lock_guard lock(watches_mutex_);
        for (auto& watch : watches_)
          if (auto stream = watch.lock()) stream->stop();
      }
      co_await background_.close();
      co_await calls_.close();  // each ends by itself, within the cluster's limit
    });
  }

  Result<void> connect() {
    OneWait<Revision> wait;
    calls_.spawn("etcd connect", [this, &wait]() -> Task<void> {
      Loop& loop = *Loop::current();
      const TimePoint end = loop.now() + options_.connect_limit;
      for (;;) {
        auto now = co_await read_revision();
        if (now || loop.now() > end || now.error().code != Code::kUnavailable) {
          wait.set(std::move(now));
          co_return;
        }
        log::info("waiting for etcd", {{"why", now.error().text()}});
        co_await sleep_for(std::chrono::milliseconds(500));
      }
    });
    LAB_CHECK(wait.get());
    background_.spawn("etcd house", [this] { return keep_house(); });
    return {};
  }

  void commit(Txn txn, CommitDone done) override {
    if (auto good = etcd::check(txn); !good) return refuse(std::move(done), std::move(good).error());
    calls_.spawn("etcd commit", [this, txn = std::move(txn), done = std::move(done)]() mutable -> Task<void> {
      auto answer = co_await cluster_->call(etcd::kTxn, etcd::encode(txn), Kind::kWrite);
      if (!answer) co_return done(std::unexpected(etcd::translated(std::move(answer).error())));
      Revision now = 0;
      auto committed = etcd::decode_txn(txn, *answer, now);
      saw(now);
      done(std::move(committed));
    });
  }

  void range(RangeRequest request, RangeDone done) override {
    calls_.spawn("etcd range", [this, request = std::move(request), done = std::move(done)]() mutable -> Task<void> {
      done(co_await read_pages(std::move(request)));
    });
  }

  std::unique_ptr<Watch> watch(std::string start, std::string end, Revision after, WatchFn fn) override {
    auto stream =
        std::make_shared<etcd::WatchStream>(etcd::WatchStream::Parts{.start = std::move(start),
                                                                     .end = std::move(end),
                                                                     .after = after,
                                                                     .fn = std::move(fn),
                                                                     .max_bytes = options_.history_bytes,
                                                                     .deliver = &deliver_.loop(),
                                                                     .on_revision = [this](Revision r) { saw(r); }});
    {
      std::lock_guard lock(watches_mutex_);
      std::erase_if(watches_, [](const auto& w) { return w.expired(); });
      watches_.push_back(stream);
    }
    background_.spawn("etcd watch", etcd::WatchStream::follow(stream, cluster_));
    return std::make_unique<EtcdWatch>(std::move(stream));
  }

  Revision revision() const override { return revision_.load(); }

  void compact(Revision before, CommitDone done) override {
    calls_.spawn("etcd compact", [this, before, done = std::move(done)]() mutable -> Task<void> {
      auto r = co_await compact_to(before);
      if (!r) co_return done(std::unexpected(std::move(r).error()));
      done(Committed{revision()});
    });
  }

  bool shared() const override { return true; }
  bool answers() const override { return answers_.load(); }
  void sync(CommitDone done) override {
    calls_.spawn("etcd sync", [this, done = std::move(done)]() mutable -> Task<void> {
      auto now = co_await read_revision();
      if (!now) co_return done(std::unexpected(std::move(now).error()));
      done(Committed{*now});
    });
  }

 private:
  // Blocks a thread that is no loop's for an answer.
  template <class T>
  struct OneWait {
    void set(Result<T> r) { promise.set_value(std::move(r)); }
    Result<T> get() { return promise.get_future().get(); }
    std::promise<Result<T>> promise;
  };

  void run_on_loop(std::move_only_function<Task<void>()> make) {
    Scope last(loop_.loop());
    std::promise<void> ended;
    last.spawn("etcd close", [&]() -> Task<void> {
      co_await make();
      ended.set_value();
    });
    ended.get_future().wait();
  }

  void refuse(CommitDone done, Error error) {
    deliver_.loop().post(
        [done = std::move(done), error = std::move(error)]() mutable { done(std::unexpected(std::move(error))); });
  }

  void saw(Revision r) {
    Revision known = revision_.load();
    while (known < r && !revision_.compare_exchange_weak(known, r)) {
    }
  }

  Task<Result<Revision>> read_revision() {
    auto answer = co_await cluster_->call(etcd::kRange, etcd::encode_revision_read(), Kind::kRead);
    if (!answer) co_return std::unexpected(etcd::translated(std::move(answer).error()));
    auto now = etcd::decode_revision(*answer);
    if (now) saw(*now);
    co_return now;
  }

  // All of an unlimited range in pages of one revision, since one answer must not hold a whole big cluster.
  Task<Result<RangeResult>> read_pages(RangeRequest request) {
    RangeResult out;
    const bool all = request.limit == 0;
    if (all) request.limit = kPage;
    for (;;) {
      auto answer = co_await cluster_->call(etcd::kRange, etcd::encode(request), Kind::kRead);
      if (!answer) co_return std::unexpected(etcd::translated(std::move(answer).error()));
      LAB_CO_TRY(auto page, etcd::decode_range(request, *answer));
      out.revision = request.revision = page.revision;
      out.more = page.more;
      for (auto& item : page.items) out.items.push_back(std::move(item));
      if (!all || !page.more) break;
      request.start = out.items.back().key + '\0';
    }
    saw(out.revision);
    co_return out;
  }

  Task<Result<void>> compact_to(Revision before) {
    auto answer = co_await cluster_->call(etcd::kCompact, etcd::encode_compaction(before), Kind::kRead);
    if (!answer) {
      auto error = etcd::translated(std::move(answer).error());
      if (error.code != Code::kGone) co_return std::unexpected(std::move(error));  // kGone: done already
    }
    co_return Result<void>();
  }

  // Looks whether etcd answers, and compacts what is older than the history. Every master does so: each gives up only
  // what it has itself seen to be old enough.
  Task<void> keep_house() {
    auto stop = background_.token();
    const bool ages = options_.history.count() > 0;
    const Duration every = ages ? std::min<Duration>(kLookEvery, Duration(options_.history) / 4) : kLookEvery;
    std::deque<std::pair<TimePoint, Revision>> seen;
    Revision compacted = 0;
    do {
      auto now = co_await read_revision();
      if (answers_.exchange(now.has_value()) != now.has_value()) {
        if (now)
          log::info("etcd answers again");
        else
          log::error("etcd does not answer", {{"why", now.error().text()}});
      }
      if (!now || !ages) continue;
      TimePoint time = Loop::current()->now();
      if (seen.empty() || time - seen.back().first >= Duration(options_.history) / 8) seen.emplace_back(time, *now);
      Revision old = 0;
      for (; !seen.empty() && time - seen.front().first >= options_.history; seen.pop_front())
        old = seen.front().second;
      if (old <= compacted) continue;
      if (auto r = co_await compact_to(old))
        compacted = old;
      else
        log::warn("history was not compacted", {{"revision", old}, {"why", r.error().text()}});
    } while (co_await sleep_for(every, stop));
  }

  EtcdOptions options_;
  std::shared_ptr<Cluster> cluster_;
  std::atomic<Revision> revision_{0};
  std::atomic<bool> answers_{true};
  std::mutex watches_mutex_;
  std::vector<std::weak_ptr<etcd::WatchStream>> watches_;
  // The loops end last; the calls run on the first, watches call their readers on the second.
  LoopThread deliver_{"etcd watch"};
  LoopThread loop_{"etcd"};
  Scope calls_{loop_.loop()}, background_{loop_.loop()};
};

}  // namespace

Result<std::unique_ptr<Store>> open_etcd(EtcdOptions options) {
  LAB_TRY(auto cluster, Cluster::make(options.cluster));
  auto store = std::make_unique<EtcdStore>(std::move(options), std::move(cluster));
  LAB_CHECK(store->connect());
  return store;
}

}  // namespace lab::store
