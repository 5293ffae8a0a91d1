#include "orchestrator/dns/forwarder.h"

#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <sstream>

#include "base/io/descriptor.h"
#include "base/io/stream.h"
#include "orchestrator/dns/tcp.h"

namespace lab::dns {
namespace {

constexpr std::size_t kMaxMessage = 65535;

std::uint16_t random_id() {
  std::uint16_t id = 0;
  // Unpredictable ids and source ports are what keeps forged answers out.
  if (::getrandom(&id, sizeof id, 0) != sizeof id) id = static_cast<std::uint16_t>(errno);
  return id;
}

std::string folded(std::string_view s) {
  std::string out(s);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return char(c >= 'A' && c <= 'Z' ? c + 32 : c); });
  return out;
}

bool answers(const std::string& packet, std::uint16_t id, const Query& query) {
  auto r = read_response(packet);
  return r && r->id == id && folded(r->question) == folded(query.question);
}

Task<Result<std::string>> ask_udp(SocketAddress to, std::string name, Query query, Duration timeout) {
  auto id = random_id();
  int fd = ::socket(to.get()->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return fail_errno("cannot make a socket");
  Descriptor d(fd);
  auto packet = write_forwarded(id, query);
  if (::connect(fd, to.get(), to.length) != 0 || ::send(fd, packet.data(), packet.size(), 0) < 0) {
    co_return fail_errno("cannot ask " + name);
  }
  Deadline deadline(timeout, [&d] { d.close(); });
  std::string buffer(kMaxMessage, '\0');
  while (co_await d.readable()) {
    ssize_t n = ::recv(d.fd(), buffer.data(), buffer.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) co_return fail_errno(name + " does not answer");
    std::string got = buffer.substr(0, static_cast<std::size_t>(n));
    if (answers(got, id, query)) co_return got;
  }
  co_return fail(Code::kTimeout, name + " does not answer");
}

Task<Result<std::string>> ask_tcp(std::string host, int port, Query query, Duration timeout) {
  auto id = random_id();
  LAB_CO_TRY(auto stream, co_await dial_tcp(host, port, timeout));
  Deadline deadline(timeout, [&stream] { stream->close(); });
  LAB_CO_CHECK(co_await write_tcp_message(*stream, write_forwarded(id, query)));
  LAB_CO_TRY(auto got, co_await read_tcp_message(*stream));
  if (!answers(got, id, query)) co_return fail(Code::kInternal, host + " answered something else");
  co_return got;
}

}  // namespace

Result<Forwarder> Forwarder::make(ForwarderOptions options) {
  Forwarder out(std::move(options));
  for (const auto& text : out.options_.upstreams) {
    Upstream u{.host = text};
    auto colon = text.rfind(':');
    bool bracketed = text.starts_with('[');
    if (bracketed || (colon != std::string::npos && text.find(':') == colon)) {
      auto end = bracketed ? text.find(']') : colon;
      u.host = text.substr(bracketed ? 1 : 0, end - (bracketed ? 1 : 0));
      if (colon != std::string::npos && colon > end - (bracketed ? 0 : 1)) {
        std::from_chars(text.data() + colon + 1, text.data() + text.size(), u.port);
      }
    }
    auto resolved = resolve_blocking(u.host, u.port, true);
    if (!resolved || resolved->empty() || u.port < 1 || u.port > 65535) {
      return fail(Code::kInvalid, "'" + text + "' is no address of a name server",
                  "an IP address, with :PORT if not 53");
    }
    u.address = resolved->front();
    out.upstreams_.push_back(std::move(u));
  }
  return out;
}

void Forwarder::note(Upstream& u, bool answered, TimePoint now) {
  u.failures = answered ? 0 : u.failures + 1;
  // One lost packet is no death.
  u.down_until = u.failures >= 2 ? now + options_.rest : TimePoint{};
}

Task<Result<std::string>> Forwarder::ask(std::size_t upstream, Query query, bool over_tcp) {
  auto address = upstreams_[upstream].address;
  auto host = upstreams_[upstream].host;
  auto port = upstreams_[upstream].port;
  auto got = co_await ask_udp(address, address.text(), query, options_.timeout);
  if (!got || !over_tcp) co_return got;
  auto response = read_response(*got);
  if (!response || !response->truncated) co_return got;
  co_return co_await ask_tcp(host, port, query, options_.timeout);
}

Task<std::optional<std::string>> Forwarder::resolve(Query query, bool over_tcp) {
  Loop& loop = *Loop::current();
  ++stats_.asked;
  auto packet = cache_.find(query, loop.now());
  if (packet) ++stats_.cache_hits;
  for (std::size_t i = 0; i < upstreams_.size() && !packet; ++i) {
    if (upstreams_[i].down_until > loop.now()) continue;
    auto got = co_await ask(i, query, over_tcp);
    note(upstreams_[i], got.has_value(), loop.now());
    if (!got) continue;
    auto response = read_response(*got);
    bool useless = !response || response->rcode == kServFail || response->rcode == kRefused;
    if (useless && i + 1 < upstreams_.size()) continue;  // perhaps the next one knows
    if (response) cache_.store(query, *got, *response, loop.now());
    packet = std::move(*got);
  }
  if (!packet || packet->size() < kHeaderSize + query.question.size()) {
    ++stats_.failures;
    co_return std::nullopt;
  }
  (*packet)[0] = static_cast<char>(query.id >> 8);
  (*packet)[1] = static_cast<char>(query.id);
  packet->replace(kHeaderSize, query.question.size(), query.question);
  co_return packet;
}

std::vector<std::string> upstreams_of_resolv_conf(std::string_view text, const IpAddress& self) {
  std::vector<std::string> out;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string keyword, address;
    if (!(words >> keyword >> address) || keyword != "nameserver") continue;
    auto ip = IpAddress::parse(address);
    if (ip && *ip != self) out.push_back(ip->text());
  }
  return out;
}

}  // namespace lab::dns
