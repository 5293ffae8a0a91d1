// Topology: who is in the mesh and who is connected to whom, as far as this peer knows. A CRDT.
//
// Each peer writes its own record alone and raises its version with every change; of two records of one peer that with
// the higher version holds (at the same version, that with the higher UID), so merging in any order, any number of
// times, comes to the same. A peer that sees an old record of itself (of the run before) writes a later one. Peers to
// which no chain of connections leads are forgotten; they tell of themselves when they are back.
// Model: Weave's mesh (github.com/weaveworks/mesh, "Peers"). Not thread-safe; nothing here blocks or looks at a clock.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "overlay-net/mesh/identity.h"

namespace lab::overlay {

inline constexpr std::size_t kMaxPeers = 4096;

struct PeerRecord {
  PeerIdentity id;
  std::uint64_t version = 0;
  std::string info;                // what the peer announces of itself, at most kMaxInfo bytes; not the mesh's business
  std::map<PeerName, bool> links;  // its connections; true: it dialled
  bool operator==(const PeerRecord&) const = default;
};

// The identity of another run that writes records under this peer's own name.
struct NameClash {
  PeerIdentity other;
  bool operator==(const NameClash&) const = default;
};

class Topology {
 public:
  explicit Topology(PeerIdentity self);

  // This peer's own record.
  void add_link(PeerName to, bool dialled);
  void remove_link(PeerName to);
  void set_info(std::string info);
  // Outbids what merge() saw under this peer's own name. True when there was something to outbid.
  bool assert_self();
  bool is_contested() const { return contested_ > 0; }

  // Names of the records that were new or newer, and not this peer's own. kInvalid: nothing was taken.
  Result<std::vector<PeerName>> merge(const std::vector<PeerRecord>& records);
  // Forgets whom no chain of connections leads to; their names.
  std::vector<PeerName> forget_unreachable();

  const PeerRecord& self() const { return peers_.at(self_); }
  const PeerRecord* find(PeerName name) const;
  const std::map<PeerName, PeerRecord>& peers() const { return peers_; }
  bool claims_link(PeerName from, PeerName to) const;  // `from` says so
  bool has_link(PeerName a, PeerName b) const;         // both say so: what routes are made of
  // The neighbour on a shortest path; nothing when there is none. Of several the lowest name.
  std::optional<PeerName> next_hop(PeerName to) const;
  std::optional<int> distance(PeerName to) const;  // in connections
  const std::optional<NameClash>& clash() const { return clash_; }
  void forget_clash() { clash_.reset(); }
  std::uint64_t generation() const { return generation_; }  // raised with every change

 private:
  struct Route {
    PeerName via;
    int distance = 0;
  };
  void changed();
  void own_change();
  void note_own_name(const PeerRecord& record);
  const std::map<PeerName, Route>& routes() const;

  PeerName self_;
  std::map<PeerName, PeerRecord> peers_;
  std::uint64_t contested_ = 0;  // version to outbid; 0: none
  struct Outbid {
    std::uint64_t version = 0;  // with which we did
    int times = 0;
  };
  std::map<std::uint64_t, Outbid> outbid_;  // UIDs seen under the own name
  std::optional<NameClash> clash_;
  std::uint64_t generation_ = 1;
  mutable std::uint64_t routes_of_ = 0;  // the generation that routes_ belongs to
  mutable std::map<PeerName, Route> routes_;
};

// Records and their digest on the wire. Decoding is bounded: kInvalid on anything malformed.
std::string encode_records(const std::vector<const PeerRecord*>& records);
Result<std::vector<PeerRecord>> decode_records(std::string_view bytes);

// One line of a digest: enough to see who knows more.
struct RecordVersion {
  PeerName name;
  std::uint64_t version = 0, uid = 0;
};
std::string encode_digest(const Topology& topology);
Result<std::vector<RecordVersion>> decode_digest(std::string_view bytes);
bool is_newer(std::uint64_t version, std::uint64_t uid, const PeerRecord& than);

}  // namespace lab::overlay
