// Merging what another peer knows into what this one knows.
//
// merge() is a pure function: on an error nothing was taken. It trusts no update about what this peer alone may edit
// (its tokens, votes, and what it took note of), nor one that contradicts what is known at the same version.
#pragma once

#include "overlay-net/ring/state.h"

namespace lab::overlay::ring {

struct Merged {
  RingState state;
  bool news = false;    // something that others must hear soon: owners, removals, votes
  bool detail = false;  // something that may spread at leisure: free counts, nicknames, who took note of what
  bool own = false;     // this peer changed something of its own because of it (RingPeer)
  bool stale = false;   // the update did not know all removals: its tokens were left aside, its sender should hear more
};

Result<Merged> merge(const RingState& mine, const RingState& theirs, const MemberId& me);

}  // namespace lab::overlay::ring
