#include "overlay-net/sleeve/wire.h"

#include <algorithm>
#include <cstring>

namespace lab::overlay::wire {
namespace {

template <class N>
void put(std::uint8_t* out, N v) {
  for (std::size_t i = 0; i < sizeof v; ++i) out[i] = static_cast<std::uint8_t>(v >> (8 * (sizeof v - 1 - i)));
}

template <class N>
N get(const std::uint8_t* in) {
  N v = 0;
  for (std::size_t i = 0; i < sizeof v; ++i) v = static_cast<N>(v << 8 | in[i]);
  return v;
}

}  // namespace

void write(const Head& head, std::uint8_t* out) {
  out[0] = static_cast<std::uint8_t>(kVersion << 4 | static_cast<std::uint8_t>(head.kind));
  out[1] = head.flags;
  out[2] = head.hops;
  out[3] = head.key;
  std::ranges::copy(head.from.bytes, out + 4);
  std::ranges::copy(head.to.bytes, out + 10);
  put(out + 16, head.counter);
}

std::optional<Head> read(std::span<const std::uint8_t> d) {
  if (d.size() < kHead || d[0] >> 4 != kVersion) return {};
  const std::uint8_t kind = d[0] & 15;
  if (kind < 1 || kind > 8 || d[1] > (kNeedsChecksum | kSealed)) return {};
  // A piece of a train may be shorter than a tag, which is the train's.
  if (d[1] & kSealed && static_cast<Kind>(kind) != Kind::kTrain && d.size() < kHead + kTag) return {};
  Head head{.kind = static_cast<Kind>(kind), .flags = d[1], .hops = d[2], .key = d[3]};
  std::copy_n(d.begin() + 4, 6, head.from.bytes.begin());
  std::copy_n(d.begin() + 10, 6, head.to.bytes.begin());
  head.counter = get<std::uint64_t>(d.data() + 16);
  return head;
}

void write(const FragmentHead& head, std::uint8_t* out) {
  put(out, head.packet);
  put(out + 4, head.offset);
  put(out + 6, head.total);
}

std::optional<FragmentHead> read_fragment(std::span<const std::uint8_t> text) {
  if (text.size() <= FragmentHead::kSize) return {};
  FragmentHead head{get<std::uint32_t>(text.data()), get<std::uint16_t>(text.data() + 4),
                    get<std::uint16_t>(text.data() + 6)};
  const std::size_t bytes = text.size() - FragmentHead::kSize;
  if (head.offset + bytes > head.total) return {};
  return head;
}

void write(const TrainHead& head, std::uint8_t* out) {
  put(out, head.segment);
  put(out + 2, head.size);
  put(out + 4, static_cast<std::uint16_t>(head.offset / TrainHead::kUnit));
  put(out + 6, std::uint16_t(0));
}

std::optional<TrainHead> read_train(std::span<const std::uint8_t> text, std::size_t tag) {
  if (text.size() <= TrainHead::kSize) return {};
  TrainHead head{.segment = get<std::uint16_t>(text.data()), .size = get<std::uint16_t>(text.data() + 2)};
  head.offset = get<std::uint16_t>(text.data() + 4) * std::uint32_t(TrainHead::kUnit);
  if (head.offset + text.size() - TrainHead::kSize > head.size + tag) return {};
  return head;
}

void write(const Probe& probe, std::uint8_t* out) {
  put(out, probe.number);
  put(out + 8, probe.size);
  put(out + 10, probe.trains);
}

std::optional<Probe> read_probe(std::span<const std::uint8_t> text) {
  if (text.size() < Probe::kSize) return {};
  return Probe{get<std::uint64_t>(text.data()), get<std::uint16_t>(text.data() + 8),
               get<std::uint16_t>(text.data() + 10)};
}

std::size_t write_note(std::string_view note, std::uint8_t* out) {
  note = note.substr(0, kMaxNote);
  out[0] = static_cast<std::uint8_t>(note.size());
  std::memcpy(out + 1, note.data(), note.size());
  return 1 + note.size();
}

std::string_view read_note(std::span<const std::uint8_t> text) {
  if (text.size() <= Probe::kSize) return {};
  const std::size_t size = text[Probe::kSize];
  if (size > kMaxNote || text.size() < Probe::kSize + 1 + size) return {};
  return {reinterpret_cast<const char*>(text.data()) + Probe::kSize + 1, size};
}

}  // namespace lab::overlay::wire
