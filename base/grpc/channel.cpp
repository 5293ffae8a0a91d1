#include "base/grpc/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <mutex>
#include <unordered_set>

#include "base/io/oneshot.h"

namespace lab::rpc {

namespace {

Code code_of_grpc(::grpc::StatusCode code) {
  switch (code) {
    case ::grpc::StatusCode::NOT_FOUND:
      return Code::kNotFound;
    case ::grpc::StatusCode::ALREADY_EXISTS:
      return Code::kAlreadyExists;
    case ::grpc::StatusCode::INVALID_ARGUMENT:
      return Code::kBadRequest;
    case ::grpc::StatusCode::PERMISSION_DENIED:
      return Code::kForbidden;
    case ::grpc::StatusCode::UNAUTHENTICATED:
      return Code::kUnauthorized;
    case ::grpc::StatusCode::DEADLINE_EXCEEDED:
      return Code::kTimeout;
    case ::grpc::StatusCode::CANCELLED:
      return Code::kCancelled;
    case ::grpc::StatusCode::UNAVAILABLE:
      return Code::kUnavailable;
    case ::grpc::StatusCode::UNIMPLEMENTED:
      return Code::kMethodNotAllowed;
    case ::grpc::StatusCode::RESOURCE_EXHAUSTED:
      return Code::kTooLarge;
    default:
      return Code::kInternal;
  }
}

std::string text_of(const ::grpc::ByteBuffer& bytes) {
  std::vector<::grpc::Slice> slices;
  std::string out;
  if (!bytes.Dump(&slices).ok()) return out;
  out.reserve(bytes.Length());
  for (const auto& s : slices) out.append(reinterpret_cast<const char*>(s.begin()), s.size());
  return out;
}

::grpc::ByteBuffer bytes_of(const std::string& text) {
  ::grpc::Slice slice(text);
  return ::grpc::ByteBuffer(&slice, 1);
}

// The contexts of calls in flight, so that shutdown() can cancel them.
class InFlight {
 public:
  bool add(::grpc::ClientContext* context) {
    std::lock_guard lock(mutex_);
    if (closed_) return false;
    contexts_.insert(context);
    return true;
  }
  void remove(::grpc::ClientContext* context) {
    std::lock_guard lock(mutex_);
    contexts_.erase(context);
  }
  void cancel_all() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    for (auto* c : contexts_) c->TryCancel();
  }

 private:
  std::mutex mutex_;
  bool closed_ = false;
  std::unordered_set<::grpc::ClientContext*> contexts_;
};

struct UnaryCall {
  ::grpc::ClientContext context;
  ::grpc::ByteBuffer request, response;
};

class StreamCall final : public ::grpc::ClientBidiReactor<::grpc::ByteBuffer, ::grpc::ByteBuffer> {
 public:
  StreamCall(const std::string& request, std::function<void(std::string)> on_message)
      : request_(bytes_of(request)), on_message_(std::move(on_message)) {}
  void start() {
    StartWriteLast(&request_, {});
    StartRead(&message_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    on_message_(text_of(message_));
    StartRead(&message_);
  }
  void OnDone(const ::grpc::Status& status) override { done.set(status); }

  ::grpc::ClientContext context;
  OneShot<::grpc::Status> done;

 private:
  ::grpc::ByteBuffer request_, message_;
  std::function<void(std::string)> on_message_;
};

class GrpcChannel final : public Channel {
 public:
  GrpcChannel(const std::string& target, const std::string& shown, const ChannelOptions& options)
      : path_(shown), hint_(options.hint) {
    ::grpc::ChannelArguments args;
    args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);  // how long one attempt may take
    args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    args.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    args.SetMaxReceiveMessageSize(-1);
    if (options.keepalive) {
      args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 6000);
      args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3000);
      args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);  // a watch may be silent for long
    }
    // Own connections: two channels to one path (tests start a runtime anew) must not share a broken one.
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = ::grpc::CreateCustomChannel(target, credentials(options), args);
    stub_ = std::make_unique<::grpc::GenericStub>(channel_);
  }

  Task<Result<std::string>> call(std::string method, std::string request, Duration timeout,
                                 std::stop_token stop) override {
    UnaryCall call;
    call.request = bytes_of(request);
    set_deadline(call.context, timeout);
    if (!in_flight_.add(&call.context)) co_return refused(method);
    OneShot<::grpc::Status> done;
    stub_->UnaryCall(&call.context, method, {}, &call.request, &call.response,
                     [done](::grpc::Status status) mutable { done.set(std::move(status)); });
    ::grpc::Status status;
    {
      std::stop_callback on_stop(stop, [&call] { call.context.TryCancel(); });
      status = co_await done.wait();
    }
    in_flight_.remove(&call.context);
    if (!status.ok()) co_return failure(method, status);
    co_return text_of(call.response);
  }

  Task<Result<void>> stream(std::string method, std::string request, std::function<void(std::string)> on_message,
                            std::stop_token stop) override {
    StreamCall call(request, std::move(on_message));
    if (!in_flight_.add(&call.context)) co_return refused(method);
    stub_->PrepareBidiStreamingCall(&call.context, method, {}, &call);
    call.start();
    ::grpc::Status status;
    {
      std::stop_callback on_stop(stop, [&call] { call.context.TryCancel(); });
      status = co_await call.done.wait();
    }
    in_flight_.remove(&call.context);
    if (!status.ok()) co_return failure(method, status);
    co_return Result<void>{};
  }

  void shutdown() override { in_flight_.cancel_all(); }

 private:
  static std::shared_ptr<::grpc::ChannelCredentials> credentials(const ChannelOptions& options) {
    if (!options.tls) return ::grpc::InsecureChannelCredentials();
    return ::grpc::SslCredentials({.pem_root_certs = options.tls->ca_pem,
                                   .pem_private_key = options.tls->private_key_pem,
                                   .pem_cert_chain = options.tls->certificate_pem});
  }
  static void set_deadline(::grpc::ClientContext& context, Duration timeout) {
    if (timeout > Duration::zero())
      context.set_deadline(std::chrono::system_clock::now() +
                           std::chrono::duration_cast<std::chrono::system_clock::duration>(timeout));
  }
  Failure refused(const std::string& method) const {
    return fail(Code::kCancelled, method + " on " + path_ + ": the connection is being shut down");
  }
  Failure failure(const std::string& method, const ::grpc::Status& status) const {
    Code code = code_of_grpc(status.error_code());
    auto name = method.substr(method.rfind('/') + 1);
    if (code == Code::kUnavailable)
      return fail(code, name + ": nothing answers on " + path_ + ": " + status.error_message(), hint_);
    return fail(code, name + ": " + status.error_message());
  }

  std::string path_, hint_;  // for messages
  std::shared_ptr<::grpc::Channel> channel_;
  std::unique_ptr<::grpc::GenericStub> stub_;
  InFlight in_flight_;
};

}  // namespace

std::shared_ptr<Channel> Channel::to_unix(const std::string& path) {
  return std::make_shared<GrpcChannel>(
      "unix:" + path, path, ChannelOptions{.hint = "start the container runtime, or give the path of its socket"});
}
std::shared_ptr<Channel> Channel::to_host(const std::string& address, int port, ChannelOptions options) {
  bool v6 = address.find(':') != std::string::npos;
  bool v4 = !v6 && address.find_first_not_of("0123456789.") == std::string::npos;
  std::string target = (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
  return std::make_shared<GrpcChannel>((v6 ? "ipv6:" : v4 ? "ipv4:" : "dns:///") + target, target, options);
}

}  // namespace lab::rpc
