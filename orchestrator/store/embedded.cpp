// The embedded store: composes the lock, the writer and the reader.
#include "orchestrator/store/file_lock.h"
#include "orchestrator/store/format.h"
#include "orchestrator/store/reader.h"
#include "orchestrator/store/writer.h"

namespace lab::store {

namespace {

class EmbeddedStore final : public Store {
 public:
  static Result<std::unique_ptr<Store>> open(EmbeddedOptions options, const std::string& program) {
    auto store = std::make_unique<EmbeddedStore>();
    // A file system given by the caller has no place for a lock file, and no second process either.
    if (options.vfs.empty()) {
      LAB_TRY(store->lock_, FileLock::acquire(options.path));
    }
    LAB_TRY(auto write_db, open_database(options.path, options.vfs, program));
    LAB_TRY(Meta meta, read_meta(write_db));
    LAB_TRY(auto read_db, sqlite::Database::open(options.path, options.vfs));
    LAB_TRY(auto history, History::open(std::move(read_db)));
    store->reader_ = std::make_unique<Reader>(std::move(history), options.history_bytes, meta.revision);
    auto publish = [reader = store->reader_.get()](std::vector<TxnEventsPtr> txns) {
      reader->publish(std::move(txns));
    };
    LAB_TRY(store->writer_, Writer::start(std::move(write_db), {.history = options.history,
                                                                .checkpoint_frames = options.checkpoint_frames,
                                                                .publish = std::move(publish)}));
    return store;
  }

  void commit(Txn txn, CommitDone done) override { writer_->commit(std::move(txn), std::move(done)); }
  void range(RangeRequest request, RangeDone done) override { reader_->range(std::move(request), std::move(done)); }
  std::unique_ptr<Watch> watch(std::string start, std::string end, Revision after, WatchFn fn) override {
    return reader_->watch(std::move(start), std::move(end), after, std::move(fn));
  }
  Revision revision() const override { return writer_->revision(); }
  void compact(Revision before, CommitDone done) override { writer_->compact(before, std::move(done)); }

 private:
  // Destroyed in reverse: the writer drains into the reader, and the lock goes last.
  FileLock lock_;
  std::unique_ptr<Reader> reader_;
  std::unique_ptr<Writer> writer_;
};

}  // namespace

std::string prefix_end(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

Result<std::unique_ptr<Store>> open_embedded(EmbeddedOptions options) {
  return EmbeddedStore::open(std::move(options), {});
}
Result<std::unique_ptr<Store>> open_embedded(EmbeddedOptions options, std::string program) {
  return EmbeddedStore::open(std::move(options), program);
}

}  // namespace lab::store
