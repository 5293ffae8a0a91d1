#include "overlay-net/sleeve/pmtu.h"

#include <algorithm>

namespace lab::overlay {

void PmtuSearch::begin_anew() {
  good_ = candidate_ = 0;
  bad_ = most_ + 1;
  candidate_rounds_ = silent_rounds_ = settled_rounds_ = 0;
}

std::vector<unsigned> PmtuSearch::round() {
  if (good_ && ++silent_rounds_ > kPatience) begin_anew();
  if (!good_) {
    std::vector<unsigned> ladder;
    for (unsigned size : {most_, 1444u, 1392u, kAssumed, 996u, kLeast}) {
      if (size <= most_ && (ladder.empty() || size < ladder.back())) ladder.push_back(size);
    }
    return ladder;
  }
  if (candidate_ > good_ && ++candidate_rounds_ >= kPatience) bad_ = std::min(bad_, candidate_);
  if (settled()) {
    if (good_ < most_ && ++settled_rounds_ >= kAgain) {
      bad_ = most_ + 1;
      settled_rounds_ = 0;
    }
    if (settled()) return {good_};
  }
  const unsigned next = bad_ > most_ ? most_ : (good_ + bad_) / 2;
  if (next != candidate_) {
    candidate_ = next;
    candidate_rounds_ = 0;
  }
  return {good_, candidate_};
}

void PmtuSearch::answered(unsigned size) {
  if (size > most_ || size < kLeast) return;
  if (size >= good_) {
    good_ = size;
    silent_rounds_ = 0;
  }
  // The path was mended: what did not get through before does now.
  if (bad_ <= good_) bad_ = most_ + 1;
}

}  // namespace lab::overlay
