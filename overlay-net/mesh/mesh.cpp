#include "overlay-net/mesh/mesh.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/crypto/digest.h"
#include "base/io/address.h"
#include "base/io/descriptor.h"
#include "base/io/socket.h"
#include "base/log.h"
#include "overlay-net/mesh/connection.h"

namespace lab::overlay {
namespace {

constexpr Duration kDialLimit = std::chrono::seconds(5);
constexpr Duration kBindAgain = std::chrono::seconds(3);
constexpr std::size_t kMaxStrangers = 256;     // accepted connections that have not proved themselves yet
constexpr std::size_t kMaxQueued = 32u << 20;  // bytes; one that reads so slowly is better made anew
constexpr std::size_t kBatch = 64 * 1024;
constexpr std::uint64_t kMaxFramesPerKey = std::uint64_t{1} << 31;

std::uint64_t random_number() {
  auto bytes = crypto::random_bytes(8);
  return Reader(bytes).u64() | 1;
}

std::string host_of(const std::string& address) {
  auto colon = address.rfind(':');
  return colon == std::string::npos ? address : address.substr(0, colon);
}

}  // namespace

// The port is bound before the identity is made: port 0 is known only then.
Mesh::Mesh(MeshOptions options)
    : options_(std::move(options)),
      port_(options_.port),
      router_((bind(), make_identity()), options_.times, options_.seed ? options_.seed : random_number(),
              [this](LinkId id, Message m) { enqueue(id, std::move(m)); },
              [this](LinkId id, Error why) {
                auto it = connections_.find(id);
                if (it != connections_.end()) end(it->second, std::move(why));
              }),
      targets_(options_.back_off, options_.seed ? options_.seed : random_number()) {}

Mesh::~Mesh() = default;

PeerIdentity Mesh::make_identity() {
  PeerIdentity out{.name = peer_name_of(options_.node_name), .uid = random_number(), .nickname = options_.node_name};
  for (const auto& a : options_.advertise) out.addresses.push_back(with_port(a));
  if (out.addresses.empty() && is_ip_literal(options_.listen) && options_.listen != "0.0.0.0") {
    out.addresses.push_back(host_port(options_.listen, port_));
  }
  return out;
}

std::string Mesh::with_port(const std::string& address) const {
  return address.find(':') == std::string::npos ? address + ":" + std::to_string(kMeshPort) : address;
}

void Mesh::bind() {
  auto listener = Listener::bind(options_.listen, port_);
  if (listener) {
    listener_ = std::move(*listener);
    port_ = listener_->port();
    problem_.clear();
  } else if (problem_ != listener.error().text()) {
    problem_ = listener.error().text();
    log::warn("mesh: other peers cannot reach this one", {{"reason", problem_}});
  }
}

void Mesh::start(Scope& scope) {
  scope_ = &scope;
  loop_ = &scope.loop();
  std::map<std::string, Duration> given;
  for (const auto& p : options_.peers) given[with_port(p)] = {};
  for (const auto& a : self().addresses) targets_.never(a);
  targets_.set("flag", given, loop_->now());
  scope.spawn("mesh-accept", accept_all(scope.token()));
  scope.spawn("mesh-time", keep_time(scope.token()));
  scope.spawn("mesh-stop", stop_with(scope.token()));
}

void Mesh::set_known(const std::vector<std::string>& addresses) {
  std::map<std::string, Duration> out;
  for (const auto& a : addresses) out[with_port(a)] = {};
  targets_.set("api", out, loop_->now());
  wake_.notify();
}

void Mesh::announce(std::string info) {
  router_.announce(std::move(info));
  wake_.notify();
}

Task<void> Mesh::flush() {
  constexpr Duration kLimit = std::chrono::seconds(2), kMoment = std::chrono::milliseconds(50);
  const auto until = loop_->now() + kLimit;
  auto waiting = [this] {
    return std::ranges::any_of(connections_, [](const auto& c) { return c.second->queued > 0; });
  };
  do {
    co_await sleep_for(kMoment);
  } while (waiting() && loop_->now() < until);
}

std::vector<Announcement> Mesh::announcements() const {
  std::vector<Announcement> out;
  for (const auto& [name, r] : router_.topology().peers()) {
    if (name != self().name && !r.info.empty()) out.push_back({r.id, r.info});
  }
  return out;
}

Task<void> Mesh::accept_all(std::stop_token stop) {
  while (!stop.stop_requested()) {
    if (!listener_) {
      if (!co_await sleep_for(kBindAgain, stop)) co_return;
      bind();
      continue;
    }
    auto fd = co_await listener_->accept();
    if (!fd && fd.error().code == Code::kCancelled) co_return;
    if (!fd) {
      co_await sleep_for(std::chrono::milliseconds(200), stop);
      continue;
    }
    if (connections_.size() >= options_.max_connections || strangers() >= kMaxStrangers) {
      ++refused_["full"];
      continue;  // closes it
    }
    tune_tcp(fd->get());
    auto accepted = accept_plain(fd->release());
    auto c = std::make_shared<Connection>();
    c->address = accepted.peer.address;
    c->stream = std::move(accepted.stream);
    scope_->spawn("mesh-connection", serve(std::move(c)));
  }
}

std::size_t Mesh::strangers() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(connections_, [](const auto& c) { return !c.second->remote && !c.second->dialled; }));
}

Task<void> Mesh::keep_time(std::stop_token stop) {
  while (!stop.stop_requested()) {
    auto now = loop_->now();
    router_.tick(now);
    look_around();
    for (auto& address : targets_.take_due(now)) scope_->spawn("mesh-dial", dial(std::move(address)));
    sleeping_until_ = std::min({router_.next_due(), targets_.next_due(), now + std::chrono::minutes(1)});
    co_await wake_.wait_for(std::max<Duration>(sleeping_until_ - now, std::chrono::milliseconds(1)), stop);
  }
}

// After the router took something in: it may want to be called earlier than it was going to be.
void Mesh::nudge() {
  if (router_.next_due() < sleeping_until_) wake_.notify();
}

Task<void> Mesh::stop_with(std::stop_token stop) {
  Event never;
  while (co_await never.wait(stop)) {
  }
  if (listener_) listener_->close();
  auto all = connections_;
  for (const auto& [id, c] : all) end(c, fail(Code::kCancelled, "this peer stops").error());
}

Task<void> Mesh::dial(std::string address) {
  auto colon = address.rfind(':');
  int port = 0;
  std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  auto stream = co_await dial_tcp(address.substr(0, colon), port, kDialLimit);
  auto c = std::make_shared<Connection>();
  c->dialled = true;
  c->target = c->address = address;
  if (!stream) {
    ended(c, stream.error());
  } else {
    c->stream = std::move(*stream);
    co_await serve(std::move(c));
  }
}

Task<void> Mesh::serve(ConnectionPtr c) {
  c->id = next_id_++;
  connections_[c->id] = c;
  auto done = co_await talk(c);
  end(c, done ? fail(Code::kUnavailable, "the other side closed the connection").error() : std::move(done).error());
  router_.link_down(c->id, loop_->now());
  connections_.erase(c->id);
  ended(c, *c->why);
}

// What the end of a connection, or of the attempt to make one, means for what comes next.
void Mesh::ended(const ConnectionPtr& c, const Error& why) {
  auto now = loop_->now();
  if (why.code == Code::kGone) targets_.never(c->target);
  if (c->dialled && c->remote) {
    targets_.lost(c->target, now - c->since, why.text(), now);
  } else if (c->dialled) {
    targets_.failed(c->target, why.text(), now);
  } else if (c->remote) {
    for (const auto& address : c->remote->addresses) targets_.explain(address, why.text());
  }
  if (c->remote) ++lost_;
  tell_end(*c, why);
  wake_.notify();
}

Task<Result<void>> Mesh::talk(ConnectionPtr c) {
  LAB_CO_CHECK(co_await greet(c));
  scope_->spawn("mesh-write", write_all(c));
  co_return co_await read_all(c);
}

Task<Result<void>> Mesh::greet(ConnectionPtr c) {
  LAB_CO_TRY(auto credentials, options_.credentials());
  auto deadline = std::make_unique<Deadline>(options_.handshake_limit, [c] { c->stream->close(); });
  std::function<Result<void>(const PeerIdentity&)> ask = [this, c](const PeerIdentity& remote) {
    return admit(c, remote);
  };
  auto session =
      co_await shake_hands(*c->stream, c->dialled, self(), std::move(credentials), c->address, std::move(ask));
  bool late = deadline->expired();
  deadline.reset();
  if (late) co_return fail(Code::kTimeout, c->address + " did not finish the handshake in time");
  if (!session) co_return std::unexpected(std::move(session).error());
  c->session.emplace(std::move(*session));
  if (c->closed) co_return std::unexpected(*c->why);
  co_return Result<void>{};
}

Result<void> Mesh::admit(const ConnectionPtr& c, const PeerIdentity& remote) {
  if (c->closed) return std::unexpected(*c->why);
  LAB_CHECK(router_.link_up(c->id, remote, c->dialled, loop_->now()));
  c->remote = remote;
  c->since = loop_->now();
  ++made_;
  if (c->dialled) targets_.connected(c->target, c->since);
  for (const auto* subject : {"dial ", "accept "}) told_.settled(subject + host_of(c->address));
  log::info("mesh: connected", {{"peer", remote.nickname}, {"address", c->address}});
  wake_.notify();
  return {};
}

Task<Result<void>> Mesh::read_all(ConnectionPtr c) {
  std::string buffer = std::move(c->session->unread);
  std::array<char, 4096> piece;
  while (!c->closed) {
    while (true) {
      LAB_CO_TRY(auto frame, c->session->in.next(buffer));
      if (!frame) break;
      router_.received(c->id, *frame, loop_->now());
      if (c->closed) co_return std::unexpected(*c->why);
    }
    nudge();
    LAB_CO_TRY(auto n, co_await c->stream->read(piece));
    if (n == 0) co_return fail(Code::kUnavailable, "the other side closed the connection");
    bytes_in_ += n;
    buffer.append(piece.data(), n);
  }
  co_return std::unexpected(*c->why);
}

Task<void> Mesh::write_all(ConnectionPtr c) {
  std::string batch;
  while (!c->closed) {
    if (c->queue.empty()) {
      co_await c->more.wait();
      continue;
    }
    batch.clear();
    while (!c->queue.empty() && batch.size() < kBatch) {
      c->queued -= c->queue.front()->size();
      c->session->out.seal(*c->queue.front(), batch);
      c->queue.pop_front();
    }
    bytes_out_ += batch.size();
    if (auto done = co_await c->stream->write(batch); !done) end(c, std::move(done).error());
    if (c->session->out.count() > kMaxFramesPerKey) end(c, fail(Code::kUnavailable, "the keys are used up").error());
  }
}

void Mesh::enqueue(LinkId id, Message message) {
  auto it = connections_.find(id);
  if (it == connections_.end() || it->second->closed) return;
  auto& c = *it->second;
  c.queued += message->size();
  c.queue.push_back(std::move(message));
  if (c.queued > kMaxQueued) {
    end(it->second, fail(Code::kUnavailable, "the other side does not read what it is sent").error());
  } else {
    c.more.notify();
  }
}

// Only marks and closes: the connection's own task winds it down.
void Mesh::end(const ConnectionPtr& c, Error why) {
  if (c->closed) return;
  c->closed = true;
  c->why = std::move(why);
  c->stream->close();
  c->queue.clear();
  c->more.notify();
}

void Mesh::tell_end(const Connection& c, const Error& why) {
  if (why.code == Code::kCancelled || why.code == Code::kAlreadyExists || why.code == Code::kGone) return;
  auto now = loop_->now();
  if (c.remote) {
    log::warn("mesh: connection lost", {{"peer", c.remote->nickname}, {"address", c.address}, {"reason", why.text()}});
    return;
  }
  ++refused_[std::string(reason_of(why.code))];
  std::uint64_t left_out = 0;
  // Once for each host, not for each attempt: the port of one that dials is always another.
  if (!told_.tell((c.dialled ? "dial " : "accept ") + host_of(c.address), now, &left_out)) return;
  log::warn(c.dialled ? "mesh: no connection" : "mesh: turned away",
            {{"address", c.address}, {"reason", why.text()}, {"unreported_since", left_out}});
}

// What the topology says now: whom to dial, and that others want to know.
void Mesh::look_around() {
  std::set<std::string> connected;
  for (const auto& [id, c] : connections_) {
    if (!c->remote || c->closed) continue;
    connected.insert(c->remote->addresses.begin(), c->remote->addresses.end());
    if (c->dialled) connected.insert(c->target);
  }
  auto now = loop_->now();
  const auto& topology = router_.topology();
  const bool news = topology.generation() != seen_generation_;
  if (news) {
    seen_generation_ = topology.generation();
    std::map<std::string, Duration> heard;
    for (const auto& [name, r] : topology.peers()) {
      if (name == self().name) continue;
      for (const auto& a : r.id.addresses) heard[a] = self().name < name ? Duration{} : options_.courtesy;
    }
    targets_.set("peer", heard, now);
  }
  targets_.set_connected(connected, now);
  if (news && topology.clash() && told_.tell("clash", now)) {
    const auto& other = topology.clash()->other;
    log::warn("mesh: another peer uses the name of this node",
              {{"name", text(other.name)},
               {"nickname", other.nickname},
               {"address", other.addresses.empty() ? "" : other.addresses.front()},
               {"do", "rename one of the two nodes"}});
  }
  if (news && on_change_) on_change_();
}

}  // namespace lab::overlay
