// PmtuSearch: how large a datagram gets through to a peer, found by trying (RFC 8899, simplified): what routers and
// devices say of their MTU is not believed.
//
// Works in rounds: round() says which sizes to send now, answered() is told which came back. The first round tries
// several sizes at once, so that something useful is known after one answer; then it halves the rest. The size in use
// is tried in every round, too: when it stops getting through, the search begins anew. Pure; sizes are UDP payloads in
// bytes.
#pragma once

#include <vector>

namespace lab::overlay {

class PmtuSearch {
 public:
  static constexpr unsigned kLeast = 548;  // every IPv4 host takes 576 bytes (RFC 791)
  static constexpr unsigned kAssumed =
      1252;                              // until something is known: IPv6's least MTU, which hardly any path is below
  static constexpr unsigned kGrain = 8;  // a gap smaller than this is not worth a search
  static constexpr int kPatience = 3;    // rounds without an answer before a size counts as lost
  static constexpr int kAgain = 60;      // settled rounds before larger sizes are tried again

  explicit PmtuSearch(unsigned most) : most_(most < kLeast ? kLeast : most) { begin_anew(); }
  unsigned size() const { return good_ ? good_ : most_ < kAssumed ? most_ : kAssumed; }
  bool known() const { return good_ != 0; }
  bool settled() const { return good_ && bad_ - good_ <= kGrain; }

  std::vector<unsigned> round();
  void answered(unsigned size);
  void begin_anew();

 private:
  unsigned most_, good_ = 0, bad_ = 0;  // the largest that passed; the smallest that did not
  unsigned candidate_ = 0;
  int candidate_rounds_ = 0, silent_rounds_ = 0, settled_rounds_ = 0;
};

}  // namespace lab::overlay
