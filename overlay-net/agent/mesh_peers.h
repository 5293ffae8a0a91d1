// Peers of the datapath out of what the mesh knows, and out of both that and Nodes.
#pragma once

#include <string>
#include <vector>

#include "overlay-net/datapath/peer.h"
#include "overlay-net/mesh/mesh.h"

namespace lab::overlay {

// What this node announces of itself through the mesh (JSON), and reading it. Fields that a later version adds are
// passed over; a peer without address and range cannot be used and is not one yet.
std::string announcement_of(const Peer& self);
std::vector<Peer> peers_of(const std::vector<Announcement>& announcements);

// One list out of two.
//
// A peer in both is where it says itself that it is, with the range that the list gives it. What the mesh alone knows
// is added. Where the list is complete (the API server's Nodes), a peer of the mesh whose range somebody listed has is
// an old one and left out; where it is what was remembered, it is the listed one that has gone.
std::vector<Peer> merge_peers(std::vector<Peer> listed, bool complete, const std::vector<Peer>& heard);

}  // namespace lab::overlay
