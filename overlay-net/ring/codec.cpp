// The bytes of a RingState, by the mesh's Writer and Reader; each list has its length before it.
#include <algorithm>
#include <functional>

#include "overlay-net/mesh/wire.h"
#include "overlay-net/ring/state.h"

namespace lab::overlay::ring {
namespace {

constexpr std::string_view kMagic = "ring1";
constexpr std::size_t kMaxMembers = 4096, kMaxNickname = 253;

void put(Writer& w, const MemberId& id) {
  w.name(id.name).u32(id.life);
}

MemberId take_id(Reader& r) {
  MemberId out;
  out.name = r.name();
  out.life = r.u32();
  return out;
}

// So many items at most; stops at the first that is cut off, so that a lie about the length costs nothing.
template <class T, class Take>
bool take_list(Reader& r, std::vector<T>& out, std::uint64_t most, Take take) {
  std::uint64_t count = r.u32();
  if (count > most) return false;
  for (std::uint64_t i = 0; i < count && r.good(); ++i) out.push_back(take(r));
  return r.good();
}

Failure bad(const std::string& what) {
  return fail(Code::kInvalid, "not a ring: " + what);
}

template <class T, class Key>
bool strictly_sorted(const std::vector<T>& items, Key key) {
  return std::ranges::adjacent_find(items, std::greater_equal<>{}, key) == items.end();
}

Result<void> check_ring(const RingState& s) {
  auto all = s.founders.empty() ? 0 : ~0ull >> (64 - s.founders.size());
  if (!s.has_ring()) {
    if (!s.members.empty() || !s.removals.empty() || !s.tokens.empty()) return bad("members without a ring");
    return {};
  }
  if (s.initial & ~all) return bad("first owners that are no founders");
  if (!strictly_sorted(s.members, &Member::id)) return bad("members are not in order");
  for (const auto& name : s.founders) {
    if (!s.member({name, 0})) return bad("a founder is no member");
  }
  for (const auto& m : s.members) {
    if (m.id.empty() || (m.known & ~all)) return bad("member " + m.id.text());
  }
  if (!strictly_sorted(s.removals, &Removal::id)) return bad("removals are not in order");
  for (const auto& r : s.removals) {
    if (!s.member(r.id) || !s.member(r.heir) || r.id == r.heir || (r.done && !r.adopted.empty()) ||
        r.round > kMaxVersion || !strictly_sorted(r.adopted, std::identity())) {
      return bad("removal of " + r.id.text());
    }
  }
  if (s.tokens.empty() || s.tokens[0].start != s.begin()) return bad("the range's first address has no owner");
  if (!strictly_sorted(s.tokens, &Token::start)) return bad("tokens are not in order");
  if (s.tokens.back().start >= s.end()) return bad("a token outside of " + s.range.text());
  for (std::size_t i = 0; i < s.tokens.size(); ++i) {
    const auto& t = s.tokens[i];
    if (t.version == 0 || t.version > kMaxVersion || t.free > s.span(i).size())
      return bad("token of " + t.owner.text());
    if (!s.member(t.owner)) return bad("a token of " + t.owner.text() + ", who is no member");
  }
  return {};
}

Vote take_vote(Reader& r) {
  Vote v;
  for (Ballot* b : {&v.promised, &v.accepted}) {
    b->round = r.u32();
    b->founder = r.u32();
  }
  v.value = r.u64();
  return v;
}

Member take_member(Reader& r) {
  Member m{.id = take_id(r)};
  m.known = r.u64();
  m.nickname = r.text(kMaxNickname);
  return m;
}

Removal take_removal(Reader& r) {
  Removal x{.id = take_id(r)};
  x.round = r.u32();
  x.heir = take_id(r);
  auto done = r.u8();
  x.done = done == 1;
  if (done > 1) x.round = kMaxVersion + 1;  // refused below
  if (!take_list(r, x.adopted, kMaxMembers, take_id)) (void)r.rest(), (void)r.u8();
  return x;
}

Token take_token(Reader& r) {
  Token t{.start = r.u32()};
  t.owner = take_id(r);
  t.version = r.u32();
  t.free = r.u32();
  return t;
}

Result<void> check_votes(const RingState& s) {
  for (const auto& v : s.votes) {
    for (const auto& b : {v.promised, v.accepted}) {
      if (b.round > kMaxVersion || (b.round ? b.founder >= s.founders.size() : b.founder != 0)) return bad("a ballot");
    }
    bool accepted = v.accepted.round != 0;
    if (v.accepted > v.promised || accepted != (v.value != 0) || v.value >> s.founders.size()) return bad("a vote");
  }
  return {};
}

}  // namespace

std::string encode(const RingState& s) {
  Writer w;
  w.raw(kMagic).u32(static_cast<std::uint32_t>(s.begin())).u8(static_cast<std::uint8_t>(s.range.prefix));
  w.u8(static_cast<std::uint8_t>(s.founders.size()));
  for (const auto& name : s.founders) w.name(name);
  w.u64(s.initial);
  for (const auto& v : s.votes) {
    for (const auto& b : {v.promised, v.accepted}) w.u32(b.round).u32(b.founder);
    w.u64(v.value);
  }
  w.u32(static_cast<std::uint32_t>(s.members.size()));
  for (const auto& m : s.members) {
    put(w, m.id);
    w.u64(m.known).text(std::string_view(m.nickname).substr(0, kMaxNickname));
  }
  w.u32(static_cast<std::uint32_t>(s.removals.size()));
  for (const auto& r : s.removals) {
    put(w, r.id);
    w.u32(r.round);
    put(w, r.heir);
    w.u8(r.done).u32(static_cast<std::uint32_t>(r.adopted.size()));
    for (const auto& id : r.adopted) put(w, id);
  }
  w.u32(static_cast<std::uint32_t>(s.tokens.size()));
  for (const auto& t : s.tokens) {
    w.u32(t.start);
    put(w, t.owner);
    w.u32(t.version).u32(t.free);
  }
  return w.take();
}

Result<RingState> decode(std::string_view bytes) {
  if (!bytes.starts_with(kMagic)) return bad("it begins otherwise");
  Reader r(bytes.substr(kMagic.size()));
  RingState s;
  auto address = r.u32();
  s.range = {IpAddress::v4(address), static_cast<int>(r.u8())};
  if (!r.good() || s.range.prefix < 1 || s.range.prefix > 30 || s.range.network() != s.range) return bad("its range");
  s.founders.resize(r.u8());
  if (s.founders.size() > kMaxFounders) return bad("too many founders");
  for (auto& name : s.founders) name = r.name();
  if (!r.good() || !strictly_sorted(s.founders, std::identity())) return bad("founders are not in order");
  s.initial = r.u64();
  for (std::size_t i = 0; i < s.founders.size(); ++i) s.votes.push_back(take_vote(r));
  bool whole = take_list(r, s.members, kMaxMembers, take_member) &&
               take_list(r, s.removals, kMaxMembers, take_removal) &&
               take_list(r, s.tokens, s.range.size(), take_token);
  if (!whole) return bad("it is cut off");
  if (!r.done()) return bad("bytes follow its end");
  LAB_CHECK(check_votes(s));
  LAB_CHECK(check_ring(s));
  return s;
}

}  // namespace lab::overlay::ring
