#include "orchestrator/dns/wire.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace lab::dns {
namespace {

constexpr std::uint16_t kClassIn = 1;
constexpr std::size_t kMaxName = 253;

void put16(std::string& out, unsigned v) {
  out.push_back(static_cast<char>(v >> 8));
  out.push_back(static_cast<char>(v));
}
void put32(std::string& out, std::uint32_t v) {
  put16(out, v >> 16);
  put16(out, v & 0xffff);
}
void set16(std::string& out, std::size_t at, unsigned v) {
  out[at] = static_cast<char>(v >> 8);
  out[at + 1] = static_cast<char>(v);
}

std::string encode_name(std::string_view name) {
  std::string out;
  while (!name.empty()) {
    auto dot = name.find('.');
    auto label = name.substr(0, dot);
    out.push_back(static_cast<char>(label.size()));
    out.append(label);
    if (dot == std::string_view::npos) break;
    name.remove_prefix(dot + 1);
  }
  out.push_back('\0');
  return out;
}

class Reader {
 public:
  explicit Reader(std::string_view packet, std::size_t at = 0) : packet_(packet), at_(at) {}
  bool ok() const { return ok_; }
  std::size_t at() const { return at_; }
  unsigned u8() { return need(1) ? static_cast<unsigned char>(packet_[at_++]) : 0; }
  unsigned u16() {
    unsigned high = u8();
    return high << 8 | u8();
  }
  std::uint32_t u32() {
    std::uint32_t high = u16();
    return high << 16 | u16();
  }
  std::string_view bytes(std::size_t n) {
    if (!need(n)) return {};
    at_ += n;
    return packet_.substr(at_ - n, n);
  }
  // Lower-cased text. A label that holds a dot or an unprintable byte becomes one that no name of ours equals.
  std::string name() {
    std::string out;
    std::size_t resume = 0, lowest = at_;
    while (ok_) {
      unsigned length = u8();
      if (length == 0) break;
      if ((length & 0xc0) == 0xc0) {
        std::size_t target = (length & 0x3f) << 8 | u8();
        if (!resume) resume = at_;
        // Backwards only: each jump gets lower, so this ends. No name begins in the header.
        if (target >= lowest || target < kHeaderSize) ok_ = false;
        lowest = at_ = target;
        continue;
      }
      if (length & 0xc0) ok_ = false;
      auto label = bytes(length);
      if (!out.empty()) out.push_back('.');
      for (unsigned char c : label) {
        bool plain = c > ' ' && c < 0x7f && c != '.';
        out.push_back(plain ? static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c) : '\x01');
      }
      if (out.size() > kMaxName) ok_ = false;
    }
    if (resume) at_ = resume;
    return out;
  }

 private:
  bool need(std::size_t n) {
    if (at_ + n > packet_.size()) ok_ = false;
    return ok_;
  }
  std::string_view packet_;
  std::size_t at_;
  bool ok_ = true;
};

class Writer {
 public:
  explicit Writer(std::size_t limit) : limit_(limit) {}
  std::string out;

  // False, and nothing written, when it does not fit.
  bool add(const Record& r) {
    auto before = out.size();
    write_name(r.name);
    put16(out, r.type);
    put16(out, kClassIn);
    put32(out, r.ttl);
    put16(out, static_cast<unsigned>(r.data.size()));
    out += r.data;
    if (out.size() <= limit_) return true;
    out.resize(before);
    std::erase_if(seen_, [&](const auto& s) { return s.second >= before; });
    return false;
  }
  void remember_question(std::string_view name) { remember(name, kHeaderSize); }

 private:
  void remember(std::string_view name, std::size_t at) {
    while (!name.empty() && at < 0x4000) {
      seen_.emplace(name, at);
      auto dot = name.find('.');
      if (dot == std::string_view::npos) return;
      at += dot + 1;
      name.remove_prefix(dot + 1);
    }
  }
  void write_name(std::string_view name) {
    while (!name.empty()) {
      if (auto at = seen_.find(std::string(name)); at != seen_.end()) return put16(out, 0xc000u | unsigned(at->second));
      if (out.size() < 0x4000) seen_.emplace(name, out.size());
      auto dot = name.find('.');
      auto label = name.substr(0, dot);
      out.push_back(static_cast<char>(label.size()));
      out.append(label);
      if (dot == std::string_view::npos) break;
      name.remove_prefix(dot + 1);
    }
    out.push_back('\0');
  }
  std::size_t limit_;
  std::map<std::string, std::size_t> seen_;
};

// The OPT record of the additional section, if there is one.
void read_edns(Reader& r, unsigned records, Query& q) {
  for (unsigned i = 0; i < records && r.ok(); ++i) {
    (void)r.name();
    unsigned type = r.u16(), size = r.u16();
    auto ttl = r.u32();
    (void)r.bytes(r.u16());
    if (type == kOpt && r.ok()) {
      if (q.edns) q.problem = kFormErr;  // there may be one (RFC 6891, 6.1.1)
      q.edns = true;
      if (q.problem == kNoError && (ttl >> 16 & 0xff) != 0) q.problem = kBadVers;
      q.dnssec_ok = ttl & 0x8000;
      q.udp_limit = std::clamp<std::size_t>(size, kPlainUdpLimit, kOurUdpLimit);
    }
  }
}

}  // namespace

bool valid_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) return false;
  while (true) {
    auto dot = name.find('.');
    auto label = name.substr(0, dot);
    if (label.empty() || label.size() > 63) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

std::optional<Query> read_query(std::string_view packet) {
  if (packet.size() < kHeaderSize) return std::nullopt;
  Reader r(packet);
  Query q;
  q.id = static_cast<std::uint16_t>(r.u16());
  unsigned flags = r.u16();
  if (flags & 0x8000) return std::nullopt;
  q.recursion_desired = flags & 0x0100;
  q.passed_flags = flags & 0x0030;
  unsigned questions = r.u16(), answers = r.u16(), authorities = r.u16(), additional = r.u16();
  q.opcode = static_cast<std::uint8_t>(flags >> 11 & 0xf);
  if (q.opcode != 0) {
    q.problem = kNotImp;
    return q;
  }
  q.name = r.name();
  q.type = static_cast<std::uint16_t>(r.u16());
  q.klass = static_cast<std::uint16_t>(r.u16());
  if (questions != 1 || answers || authorities || !r.ok()) {
    q.problem = kFormErr;
    return q;
  }
  q.question = packet.substr(kHeaderSize, r.at() - kHeaderSize);
  read_edns(r, additional, q);
  if (!r.ok()) q.problem = kFormErr;
  return q;
}

Record address_record(std::string name, std::uint32_t ttl, const IpAddress& address) {
  auto bytes = address.bytes();
  return {std::move(name), static_cast<std::uint16_t>(address.is_v6() ? kAaaa : kA), ttl,
          std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
}

Record name_record(std::string name, std::uint16_t type, std::uint32_t ttl, std::string_view target) {
  return {std::move(name), type, ttl, encode_name(target)};
}

Record srv_record(std::string name, std::uint32_t ttl, std::uint16_t weight, std::uint16_t port,
                  std::string_view target) {
  std::string data;
  put16(data, 0);
  put16(data, weight);
  put16(data, port);
  return {std::move(name), kSrv, ttl, data + encode_name(target)};
}

Record txt_record(std::string name, std::uint32_t ttl, std::string_view text) {
  std::string data(1, static_cast<char>(std::min<std::size_t>(text.size(), 255)));
  return {std::move(name), kTxt, ttl, data.append(text.substr(0, 255))};
}

Record soa_record(std::string zone, std::uint32_t ttl, std::uint32_t serial) {
  std::string data = encode_name("ns.dns." + zone) + encode_name("hostmaster." + zone);
  put32(data, serial);
  for (std::uint32_t v : {7200u, 1800u, 86400u, ttl}) put32(data, v);  // refresh, retry, expire, negative TTL
  return {std::move(zone), kSoa, ttl, data};
}

std::string write_response(const Query& q, const Answer& a, std::size_t limit) {
  constexpr std::size_t kOptSize = 11;
  Writer w(limit - (q.edns ? kOptSize : 0));
  put16(w.out, q.id);
  put16(w.out, 0x8000u | unsigned(q.opcode) << 11 | (a.authoritative ? 0x0400u : 0) | (q.recursion_desired ? 0x0100u : 0) | 0x0080u | (a.rcode & 0xfu));
  put16(w.out, q.question.empty() ? 0 : 1);
  w.out.append(6, '\0');
  w.out += q.question;
  // The question's own spelling is kept; compressed names then repeat it, as clients that check the case expect.
  bool spelled_out = q.question.size() == q.name.size() + 6;
  if (spelled_out) w.remember_question(q.name);
  unsigned counts[3] = {0, 0, 0};
  bool truncated = false;
  for (const auto& r : a.answers) {
    if (!w.add(r)) {
      truncated = true;
      break;
    }
    ++counts[0];
  }
  if (!truncated) {
    for (const auto& r : a.authority) counts[1] += w.add(r);
    for (const auto& r : a.additional) counts[2] += w.add(r);
  }
  if (truncated) w.out[2] |= 0x02;
  if (q.edns) {
    w.out.push_back('\0');
    put16(w.out, kOpt);
    put16(w.out, kOurUdpLimit);
    put32(w.out, std::uint32_t(a.rcode >> 4) << 24 | (q.dnssec_ok ? 0x8000u : 0));
    put16(w.out, 0);
    ++counts[2];
  }
  for (int i = 0; i < 3; ++i) set16(w.out, 6 + 2 * std::size_t(i), counts[i]);
  return std::move(w.out);
}

std::string write_forwarded(std::uint16_t id, const Query& q) {
  std::string out;
  put16(out, id);
  put16(out, 0x0100u | q.passed_flags);
  put16(out, 1);
  put32(out, 0);
  put16(out, q.edns ? 1 : 0);
  out += q.question;
  if (q.edns) {
    out.push_back('\0');
    put16(out, kOpt);
    put16(out, kOurUdpLimit);
    put32(out, q.dnssec_ok ? 0x8000u : 0);
    put16(out, 0);
  }
  return out;
}

Query make_query(std::string_view name, std::uint16_t type) {
  Query q{.recursion_desired = true, .question = encode_name(name), .name = std::string(name), .type = type};
  q.klass = kClassIn;
  put16(q.question, type);
  put16(q.question, kClassIn);
  return q;
}

std::optional<Response> read_response(std::string_view packet) {
  if (packet.size() < kHeaderSize) return std::nullopt;
  Reader r(packet);
  Response out;
  out.id = static_cast<std::uint16_t>(r.u16());
  unsigned flags = r.u16();
  out.rcode = static_cast<Rcode>(flags & 0xf);
  out.truncated = flags & 0x0200;
  unsigned questions = r.u16(), counts[3] = {r.u16(), r.u16(), r.u16()};
  if (!(flags & 0x8000) || questions != 1) return std::nullopt;
  (void)r.name();
  (void)r.u32();
  out.question = packet.substr(kHeaderSize, r.at() - kHeaderSize);
  for (int section = 0; section < 3; ++section) {
    for (unsigned i = 0; i < counts[section] && r.ok(); ++i) {
      ReadRecord rr;
      rr.section = static_cast<ReadRecord::Section>(section);
      rr.record.name = r.name();
      rr.record.type = static_cast<std::uint16_t>(r.u16());
      (void)r.u16();
      rr.ttl_offset = r.at();
      rr.record.ttl = r.u32();
      auto length = r.u16();
      Reader inside(packet, r.at());
      rr.record.data = r.bytes(length);
      if (rr.record.type == kCname || rr.record.type == kNs || rr.record.type == kPtr) {
        rr.record.data = encode_name(inside.name());
        if (!inside.ok()) return std::nullopt;
      }
      if (r.ok() && rr.record.type != kOpt) out.records.push_back(std::move(rr));
    }
  }
  // A truncated answer may end anywhere.
  if (!r.ok() && !out.truncated) return std::nullopt;
  return out;
}

std::string reverse_name(const IpAddress& address) {
  std::string out;
  auto bytes = address.bytes();
  if (address.is_v4()) {
    for (int i = 3; i >= 0; --i) out += std::to_string(bytes[std::size_t(i)]) + ".";
    return out + "in-addr.arpa";
  }
  constexpr char kHex[] = "0123456789abcdef";
  for (int i = 15; i >= 0; --i) {
    for (unsigned nibble : {bytes[std::size_t(i)] & 0xfu, unsigned(bytes[std::size_t(i)]) >> 4}) {
      out.push_back(kHex[nibble]);
      out.push_back('.');
    }
  }
  return out + "ip6.arpa";
}

std::optional<IpAddress> address_of_reverse_name(std::string_view name) {
  bool v6 = name.ends_with(".ip6.arpa");
  if (!v6 && !name.ends_with(".in-addr.arpa")) return std::nullopt;
  std::uint8_t bytes[16] = {};
  std::size_t parts = v6 ? 32 : 4;
  auto rest = name.substr(0, name.size() - (v6 ? 9 : 13));
  for (std::size_t i = 0; i < parts; ++i) {
    auto dot = rest.find('.');
    auto part = rest.substr(0, dot);
    unsigned value = 0;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value, v6 ? 16 : 10);
    if (error != std::errc{} || end != part.data() + part.size() || value > (v6 ? 15u : 255u)) return std::nullopt;
    if (v6) {
      bytes[15 - i / 2] |= static_cast<std::uint8_t>(i % 2 ? value << 4 : value);
    } else {
      bytes[3 - i] = static_cast<std::uint8_t>(value);
    }
    if ((dot == std::string_view::npos) != (i + 1 == parts)) return std::nullopt;
    rest.remove_prefix(dot == std::string_view::npos ? rest.size() : dot + 1);
  }
  return IpAddress::from_bytes({bytes, v6 ? 16u : 4u});
}

}  // namespace lab::dns
