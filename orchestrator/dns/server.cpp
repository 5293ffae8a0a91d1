#include "orchestrator/dns/server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/io/descriptor.h"
#include "base/io/sync.h"
#include "base/log.h"
#include "base/netlink/netlink.h"
#include "orchestrator/dns/tcp.h"

namespace lab::dns {
namespace {

constexpr int kLoopbackIndex = 1;
constexpr int kMaxForwarding = 2000;  // questions upstream at a time; more are refused at once
constexpr std::size_t kMaxConnections = 500;
constexpr int kMaxChain = 8;  // CNAMEs followed
constexpr std::size_t kTcpLimit = 65535;
constexpr Duration kIdle = std::chrono::seconds(10);
constexpr const char* kByService = "service";
constexpr std::uint16_t kClassIn = 1;

std::string service_of(const json::Value& slice) {
  auto name = json::str(slice, "metadata", "labels", "kubernetes.io/service-name");
  if (name.empty()) return {};
  return std::string(json::str(slice, "metadata", "namespace")) + "/" + std::string(name);
}

std::string refusal(const Query& query, Rcode rcode) {
  return write_response(query, {.rcode = rcode, .authoritative = false}, kPlainUdpLimit);
}

// What upstream said, if the client can take it; else an answer that tells to ask over TCP.
std::string fitting(const Query& query, std::string packet, std::size_t limit) {
  if (packet.size() <= limit) return packet;
  auto out = refusal(query, static_cast<Rcode>(packet[3] & 0xf));
  out[2] |= 0x02;
  return out;
}

}  // namespace

DnsServer::DnsServer(DnsOptions options) : options_(std::move(options)), zone_(options_.domain, options_.address) {}

DnsServer::~DnsServer() = default;

bool DnsServer::synced() const {
  return !services_ || (services_->synced() && slices_->synced() && namespaces_->synced());
}

Result<void> DnsServer::start(Scope& scope) {
  LAB_TRY(forwarder_, Forwarder::make(options_.forward));
  LAB_CHECK(bind_sockets());
  if (options_.client) watch(scope);
  scope.spawn("dns udp", serve_udp(scope));
  scope.spawn("dns tcp", serve_tcp(scope));
  scope.spawn("dns stop", close_at_stop(scope.token()));
  log::info("cluster DNS answers", {{"address", options_.address.text()},
                                    {"port", port_},
                                    {"domain", options_.domain},
                                    {"upstreams", options_.forward.upstreams.size()}});
  return {};
}

Result<void> DnsServer::bind_sockets() {
  if (options_.address.empty()) return fail(Code::kInvalid, "the cluster DNS address is not set");
  if (options_.bind_on_node) {
    LAB_TRY(auto netlink, Netlink::open());
    LAB_CHECK(netlink.replace_address({kLoopbackIndex, Cidr::host(options_.address)}));
  }
  LAB_TRY(tcp_, Listener::bind(options_.address.text(), options_.port));
  port_ = tcp_->port();
  LAB_TRY(auto addresses, resolve_blocking(options_.address.text(), port_, true));
  OwnedFd fd(::socket(options_.address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return fail_errno("cannot make a socket");
  if (::bind(fd.get(), addresses.front().get(), addresses.front().length) != 0) {
    return fail_errno("cannot listen on UDP " + addresses.front().text(), "another DNS server may use that port");
  }
  udp_ = std::make_unique<Descriptor>(fd.release());
  return {};
}

void DnsServer::watch(Scope& scope) {
  auto& client = *options_.client;
  services_ = std::make_unique<client::Informer>(client, client::res::services);
  slices_ = std::make_unique<client::Informer>(client, client::res::endpointslices);
  namespaces_ = std::make_unique<client::Informer>(client, client::res::namespaces);
  slices_->add_index(kByService, [](const json::Value& s) { return std::vector<std::string>{service_of(s)}; });
  services_->on_change([this](const client::ObjectPtr& old, const client::ObjectPtr& now) {
    take_service(client::key_of(now ? *now : *old));
  });
  slices_->on_change([this](const client::ObjectPtr& old, const client::ObjectPtr& now) {
    auto before = old ? service_of(*old) : std::string(), after = now ? service_of(*now) : std::string();
    if (before != after) take_service(before);
    take_service(after);
  });
  namespaces_->on_change([this](const client::ObjectPtr& old, const client::ObjectPtr& now) {
    if (bool(old) != bool(now)) zone_.set_namespace(client::key_of(now ? *now : *old), bool(now));
  });
  services_->start(scope);
  slices_->start(scope);
  namespaces_->start(scope);
}

void DnsServer::take_service(const std::string& key) {
  if (key.empty()) return;
  auto service = services_->get(key);
  auto slices = slices_->by_index(kByService, key);
  std::vector<const json::Value*> views;
  for (const auto& s : slices) views.push_back(s.get());
  zone_.set_service(key, service.get(), views);
}

Task<void> DnsServer::close_at_stop(std::stop_token stop) {
  Event never;
  while (!stop.stop_requested()) co_await never.wait(stop);
  udp_->close();
  tcp_->close();
  for (auto* stream : streams_) stream->close();
}

std::optional<std::string> DnsServer::answer_now(const Query& q, bool tcp) const {
  if (q.problem != kNoError) return refusal(q, q.problem);
  if (q.klass != kClassIn || q.type == kAxfr || q.type == kIxfr) return refusal(q, kRefused);
  if (!synced() && zone_.owns(q.name)) return refusal(q, kServFail);
  auto found = zone_.answer(q.name, q.type);
  if (!found.ours || !found.chase.empty()) return std::nullopt;
  return write_response(q, found.answer, tcp ? kTcpLimit : q.udp_limit);
}

Task<std::string> DnsServer::answer(std::string packet, bool tcp) {
  auto query = read_query(packet);
  if (!query) co_return std::string();
  ++stats_.queries;
  if (auto now = answer_now(*query, tcp)) {
    ++stats_.local;
    co_return *now;
  }
  std::size_t limit = tcp ? kTcpLimit : query->udp_limit;
  auto found = zone_.answer(query->name, query->type);
  if (found.ours) co_return co_await follow(*query, std::move(found), limit);
  if (forwarding_ >= kMaxForwarding) co_return refusal(*query, kServFail);
  ++stats_.forwarded;
  ++forwarding_;
  auto upstream = co_await forwarder_->resolve(*query, tcp);
  --forwarding_;
  co_return upstream ? fitting(*query, std::move(*upstream), limit) : refusal(*query, kServFail);
}

// A CNAME alone does not help a stub resolver: it wants the addresses in the same answer.
Task<std::string> DnsServer::follow(Query query, ZoneAnswer found, std::size_t limit) {
  Answer whole = std::move(found.answer);
  auto next = found.chase;
  for (int i = 0; i < kMaxChain && !next.empty(); ++i) {
    auto target = zone_.answer(next, query.type);
    if (target.ours) {
      auto& more = target.answer.answers;
      whole.answers.insert(whole.answers.end(), more.begin(), more.end());
      whole.rcode = target.answer.rcode;
      next = target.chase;
      continue;
    }
    auto got = co_await forwarder_->resolve(make_query(next, query.type), true);
    auto response = got ? read_response(*got) : std::nullopt;
    if (!response) co_return refusal(query, kServFail);
    whole.rcode = response->rcode;
    for (auto& rr : response->records) {
      bool useful = rr.record.type == query.type || rr.record.type == kCname;
      if (rr.section == ReadRecord::kAnswer && useful) whole.answers.push_back(std::move(rr.record));
    }
    break;
  }
  co_return write_response(query, whole, limit);
}

Task<void> DnsServer::serve_udp(Scope& scope) {
  std::string buffer(kTcpLimit, '\0');
  while (co_await udp_->readable()) {
    while (udp_->open()) {
      SocketAddress from;
      from.length = sizeof from.storage;
      ssize_t n = ::recvfrom(udp_->fd(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                             reinterpret_cast<sockaddr*>(&from.storage), &from.length);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) break;
      std::string packet(buffer.data(), static_cast<std::size_t>(n));
      auto query = read_query(packet);
      if (!query) {
        ++stats_.dropped;
        continue;
      }
      if (auto now = answer_now(*query, false)) {
        ++stats_.queries;
        ++stats_.local;
        (void)::sendto(udp_->fd(), now->data(), now->size(), MSG_DONTWAIT, from.get(), from.length);
        continue;
      }
      scope.spawn("dns query", answer_udp(std::move(packet), from));
    }
  }
}

Task<void> DnsServer::answer_udp(std::string packet, SocketAddress from) {
  auto response = co_await answer(std::move(packet), false);
  if (response.empty() || !udp_->open()) co_return;
  (void)::sendto(udp_->fd(), response.data(), response.size(), MSG_DONTWAIT, from.get(), from.length);
}

Task<void> DnsServer::serve_tcp(Scope& scope) {
  auto stop = scope.token();
  while (!stop.stop_requested()) {
    auto fd = co_await tcp_->accept();
    if (!fd && fd.error().code == Code::kCancelled) co_return;
    if (!fd) {
      co_await sleep_for(std::chrono::milliseconds(100), stop);
      continue;
    }
    if (streams_.size() >= kMaxConnections) continue;  // closes it
    scope.spawn("dns connection", serve_connection(std::move(*fd), stop));
  }
}

Task<void> DnsServer::serve_connection(OwnedFd fd, std::stop_token stop) {
  auto accepted = accept_plain(fd.release());
  auto& stream = *accepted.stream;
  streams_.insert(&stream);
  while (!stop.stop_requested()) {
    Deadline idle(kIdle, [&stream] { stream.close(); });
    auto message = co_await read_tcp_message(stream);
    if (!message || message->empty()) break;
    auto response = co_await answer(std::move(*message), true);
    if (response.empty() || !co_await write_tcp_message(stream, std::move(response))) break;
  }
  streams_.erase(&stream);
  stream.close();
}

Result<void> DnsServer::clean_up(const IpAddress& address) {
  LAB_TRY(auto netlink, Netlink::open());
  return netlink.delete_address({kLoopbackIndex, Cidr::host(address)});
}

}  // namespace lab::dns
