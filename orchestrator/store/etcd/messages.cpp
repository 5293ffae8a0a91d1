#include "orchestrator/store/etcd/messages.h"

#include <set>

#include "etcd_rpc.pb.h"

namespace lab::store::etcd {

namespace pb = etcdserverpb;

namespace {

constexpr std::size_t kMaxTxnBytes = 16 << 20;

std::string bound(const std::string& key) {
  return key.empty() ? std::string(1, '\0') : key;
}

Bytes value_of(mvccpb::KeyValue& kv) {
  return std::make_shared<const std::string>(std::move(*kv.mutable_value()));
}

template <class Message>
Result<Message> parsed(const std::string& bytes, const char* what) {
  Message out;
  if (!out.ParseFromString(bytes)) return fail(Code::kInternal, std::string("etcd's answer is no ") + what);
  return out;
}

// Every key that is compared, in the order in which failures are told.
std::vector<std::pair<std::string, Revision>> guards_of(const Txn& txn) {
  auto out = txn.guards;
  for (const auto& change : txn.changes)
    if (change.expect) out.emplace_back(change.key, *change.expect);
  return out;
}

Failure failed_guard(const std::string& key, Revision expected, Revision actual) {
  std::string message = "key " + key + ": expected revision " + std::to_string(expected) + ", found " +
                        (actual ? std::to_string(actual) : "none");
  Code code = expected == 0 ? Code::kAlreadyExists : actual == 0 ? Code::kNotFound : Code::kConflict;
  return fail(code, std::move(message));
}

Event event_of(mvccpb::Event& in) {
  Event out;
  auto& kv = *in.mutable_kv();
  const bool had = in.has_prev_kv();
  if (had) out.previous_revision = in.prev_kv().mod_revision();
  out.type = in.type() == mvccpb::Event::DELETE ? Event::kDelete : Event::kPut;
  out.current.create_revision = kv.create_revision();
  if (out.type == Event::kDelete && had) out.current.create_revision = in.prev_kv().create_revision();
  out.current.mod_revision = kv.mod_revision();
  out.current.key = std::move(*kv.mutable_key());
  if (out.type == Event::kPut) out.current.value = value_of(kv);
  if (had) out.previous = value_of(*in.mutable_prev_kv());
  return out;
}

}  // namespace

Result<void> check(const Txn& txn) {
  std::size_t size = 0;
  std::set<std::string_view> seen;
  for (const auto& change : txn.changes) {
    if (change.key.empty() || change.key.find('\0') != std::string::npos)
      return fail(Code::kInvalid, "a key must not be empty or contain a zero byte");
    if (!seen.insert(change.key).second)
      return fail(Code::kInvalid, "key " + change.key + " occurs twice in one transaction");
    size += change.key.size() + (change.value ? change.value->size() : 0);
  }
  if (size > kMaxTxnBytes)
    return fail(Code::kTooLarge, "the transaction is too big: at most " + std::to_string(kMaxTxnBytes >> 20) +
                                     " MiB of keys and values");
  return {};
}

std::string encode(const Txn& txn) {
  pb::TxnRequest out;
  for (const auto& [key, revision] : guards_of(txn)) {
    auto& compare = *out.add_compare();
    compare.set_target(pb::Compare::MOD);
    compare.set_result(pb::Compare::EQUAL);
    compare.set_key(key);
    compare.set_mod_revision(revision);
    auto& look = *out.add_failure()->mutable_request_range();
    look.set_key(key);
    look.set_keys_only(true);
  }
  for (const auto& change : txn.changes) {
    auto& op = *out.add_success();
    if (change.value) {
      op.mutable_request_put()->set_key(change.key);
      op.mutable_request_put()->set_value(*change.value);
    } else {
      op.mutable_request_delete_range()->set_key(change.key);
    }
  }
  return out.SerializeAsString();
}

Result<Committed> decode_txn(const Txn& txn, const std::string& answer, Revision& now) {
  LAB_TRY(auto out, parsed<pb::TxnResponse>(answer, "TxnResponse"));
  now = out.header().revision();
  if (out.succeeded()) return Committed{out.header().revision()};
  const auto guards = guards_of(txn);
  for (int i = 0; i < out.responses_size() && i < static_cast<int>(guards.size()); ++i) {
    const auto& kvs = out.responses(i).response_range().kvs();
    Revision actual = kvs.empty() ? 0 : kvs[0].mod_revision();
    if (actual != guards[i].second) return failed_guard(guards[i].first, guards[i].second, actual);
  }
  return fail(Code::kInternal, "etcd refused a transaction whose guards hold");
}

std::string encode(const RangeRequest& request) {
  pb::RangeRequest out;
  out.set_key(bound(request.start));
  out.set_range_end(bound(request.end));
  out.set_revision(request.revision);
  out.set_limit(static_cast<std::int64_t>(request.limit));
  return out.SerializeAsString();
}

Result<RangeResult> decode_range(const RangeRequest& request, const std::string& answer) {
  LAB_TRY(auto in, parsed<pb::RangeResponse>(answer, "RangeResponse"));
  RangeResult out{.revision = request.revision ? request.revision : in.header().revision(), .more = in.more()};
  out.items.reserve(in.kvs_size());
  for (auto& kv : *in.mutable_kvs()) {
    auto value = value_of(kv);
    out.items.push_back({std::move(*kv.mutable_key()), std::move(value), kv.create_revision(), kv.mod_revision()});
  }
  return out;
}

std::string encode_revision_read() {
  pb::RangeRequest out;
  out.set_key(std::string(1, '\0'));
  out.set_keys_only(true);
  return out.SerializeAsString();
}

Result<Revision> decode_revision(const std::string& answer) {
  LAB_TRY(auto in, parsed<pb::RangeResponse>(answer, "RangeResponse"));
  return in.header().revision();
}

std::string encode_compaction(Revision before) {
  pb::CompactionRequest out;
  out.set_revision(before);
  return out.SerializeAsString();
}

std::string encode_watch(const std::string& start, const std::string& end, Revision from) {
  pb::WatchRequest out;
  auto& create = *out.mutable_create_request();
  create.set_key(bound(start));
  create.set_range_end(bound(end));
  create.set_start_revision(from);
  create.set_progress_notify(true);
  create.set_prev_kv(true);
  return out.SerializeAsString();
}

Result<WatchMessage> decode_watch(const std::string& message) {
  LAB_TRY(auto in, parsed<pb::WatchResponse>(message, "WatchResponse"));
  WatchMessage out{.bytes = message.size(),
                   .revision = in.header().revision(),
                   .cancelled = in.canceled(),
                   .compacted = in.compact_revision(),
                   .reason = in.cancel_reason()};
  out.events.reserve(in.events_size());
  for (auto& event : *in.mutable_events()) out.events.push_back(event_of(event));
  return out;
}

Error translated(Error error) {
  auto says = [&](const char* words) { return error.message.find(words) != std::string::npos; };
  if (says("has been compacted")) {
    error.code = Code::kGone;
  } else if (says("is a future revision")) {
    error.code = Code::kInvalid;
  } else if (says("request is too large") || says("larger than max")) {
    error.code = Code::kTooLarge;
    error.hint = "etcd's --max-request-bytes bounds what it takes at once";
  } else if (says("too many operations")) {
    error.code = Code::kTooLarge;
    error.hint = "etcd's --max-txn-ops bounds what it takes at once";
  } else if (says("database space exceeded")) {
    error.code = Code::kTooManyRequests;
    error.hint = "etcd is full: raise --quota-backend-bytes, compact, defragment, then disarm the alarm with etcdctl";
  } else if (error.code == Code::kUnauthorized || error.code == Code::kForbidden) {
    error.code = Code::kInternal;  // it is the server that etcd refuses, not the server's client
    error.hint = "etcd refuses this server's client certificate or user";
  }
  return error;
}

}  // namespace lab::store::etcd
