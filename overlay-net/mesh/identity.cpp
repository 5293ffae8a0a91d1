#include "overlay-net/mesh/identity.h"

#include <algorithm>

#include "base/netlink/address.h"

namespace lab::overlay {

std::string text(const PeerName& name) {
  MacAddress mac;
  mac.bytes = name.bytes;
  return mac.text();
}

PeerName peer_name_of(std::string_view node_name) {
  return {MacAddress::from_seed("peer " + std::string(node_name)).bytes};
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

void encode(Writer& out, const PeerIdentity& v) {
  out.name(v.name).u64(v.uid).text(v.nickname).u8(static_cast<std::uint8_t>(v.addresses.size()));
  for (const auto& a : v.addresses) out.text(a);
}

Result<PeerIdentity> decode_identity(Reader& in) {
  PeerIdentity out;
  out.name = in.name();
  out.uid = in.u64();
  out.nickname = in.text(kMaxNickname);
  std::size_t count = in.u8();
  if (count > kMaxAddresses) return fail(Code::kInvalid, "a peer with " + std::to_string(count) + " addresses");
  for (std::size_t i = 0; i < count && in.good(); ++i) out.addresses.emplace_back(in.text(kMaxAddress));
  bool printable = is_printable(out.nickname) && std::ranges::all_of(out.addresses, is_printable);
  if (!in.good() || out.name.empty() || out.uid == 0 || !printable) {
    return fail(Code::kInvalid, "the description of a peer is malformed");
  }
  return out;
}

}  // namespace lab::overlay
