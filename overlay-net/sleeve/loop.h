// Internal to this folder: the loop of a Sleeve, in five parts that share what it holds.
//   loop.cpp      the thread, what the outside sets and asks
//   outbound.cpp  TAP to UDP
//   inbound.cpp   UDP to TAP, and on to other peers
//   trains.cpp    super-packets that go whole, both ways
//   control.cpp   heartbeats and handshakes
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "overlay-net/sleeve/busy_poll.h"
#include "overlay-net/sleeve/frame.h"
#include "overlay-net/sleeve/peers.h"
#include "overlay-net/sleeve/reassembly.h"
#include "overlay-net/sleeve/tap.h"

namespace lab::overlay {

class Sleeve::Loop {
 public:
  explicit Loop(SleeveOptions options) : options(std::move(options)) {}
  ~Loop();
  Result<void> open();
  void run_in_thread();

  static constexpr std::size_t kFrameBytes = 192 * 1024 + kMaxFrame, kMadeBytes = 384 * 1024;
  const SleeveOptions options;

  // From outside.
  void set_peers(std::vector<SleevePeer> peers);
  void set_next_hops(std::map<PeerName, PeerName> via);
  void tell(std::string note);
  std::vector<SleevePeerStatus> status();
  SleeveCounters counters();

 private:
  using Bytes = std::span<std::uint8_t>;
  using ConstBytes = std::span<const std::uint8_t>;

  class Lock;  // of the outside: takes turns with the loop
  void run();
  void look_on(TimePoint until_at_most);
  void wake();
  void remake_tap();
  bool encrypts() const { return options.authenticator != nullptr; }
  bool hears(const PeerState& p, TimePoint now) const;
  std::size_t overhead() const { return wire::kHead + (encrypts() ? wire::kTag : 0); }

  // outbound.cpp
  bool pump_tap();
  void send_frame(const Frame& frame);
  void send_fragments(PeerState& peer, const Frame& frame, unsigned room);
  void emit(PeerState& peer, Session* session, wire::Head head, ConstBytes a, Bytes b);
  void flush_out();

  // inbound.cpp
  bool pump_udp();
  void take_datagram(const sockaddr_in& from, Bytes datagram);
  void forward(const wire::Head& head, Bytes datagram);
  bool open_sealed(PeerState& peer, const wire::Head& head, Bytes datagram, Bytes& text);
  Session* session_of(PeerState& peer, const wire::Head& head);
  bool accepted(PeerState& peer, const wire::Head& head, Session::Opened how);
  void take_text(PeerState& peer, const wire::Head& head, Bytes text);
  void take_packet(PeerState& peer, bool needs_checksum, Bytes packet);
  void write_joined();

  // trains.cpp
  struct Train;
  void send_train(PeerState& peer, Session* session, const Frame& frame);
  bool continues_train(const sockaddr_in& from, Bytes datagram);
  void take_piece(PeerState& peer, const sockaddr_in& from, const wire::Head& head, Bytes datagram);
  void park_train();
  void keep_piece(PeerState& peer, const wire::Head& head, const wire::TrainHead& shape, ConstBytes head_bytes,
                  ConstBytes piece);
  void finish_train(PeerState& peer, const wire::Head& head, const wire::TrainHead& shape, ConstBytes head_bytes,
                    std::span<const Bytes> pieces);
  void deliver_whole(PeerState& peer, const wire::TrainHead& shape, std::span<const Bytes> pieces);
  void note_trains(PeerState& peer, std::uint16_t told, TimePoint now);
  std::uint16_t trains_word(const PeerState& peer) const;

  // control.cpp
  TimePoint tick(TimePoint now);  // when the next one is due
  void probe(PeerState& peer, TimePoint now);
  void say_hello(PeerState& peer, TimePoint now);
  void take_handshake(PeerState& peer, const wire::Head& head, ConstBytes text);
  void send_control(PeerState& peer, Session* session, wire::Kind kind, ConstBytes text, std::uint8_t key = 0);
  void set_problem(PeerState& peer, std::string problem);

  int tap_ = -1, udp_ = -1, wake_ = -1;
  std::thread thread_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> waiting_ = 0;
  std::mutex mutex_;  // of all below; the loop holds it but while it waits

  PeerTable peers_;
  SleeveCounters counters_;
  std::unique_ptr<SendBatch> out_, on_;  // of our own; for others
  std::unique_ptr<ReceiveBatch> in_;
  std::unique_ptr<std::uint8_t[]> frames_, made_;  // read from the TAP; heads and sealed datagrams
  std::size_t made_used_ = 0;
  Coalescer joined_;
  Reassembly fragments_;
  // The train whose pieces lie in the receive buffers; those that did not come in one go.
  struct Train {
    PeerState* peer = nullptr;  // null: none
    sockaddr_in from{};
    wire::Head head;
    wire::TrainHead shape;
    std::array<std::uint8_t, wire::TrainHead::kAuthenticated> bytes{};  // of the head; its hops are 0
    std::size_t have = 0;
    std::vector<Bytes> pieces;
  } train_;
  Reassembly trains_{{.packets = 64, .patience = std::chrono::milliseconds(500)}};
  std::unique_ptr<std::uint8_t[]> opened_;  // a train's packet, no longer sealed
  std::vector<Session::Part> parts_;
  std::vector<iovec> vectors_;
  TimePoint next_tick_{};
  BusyPoll busy_poll_;
  std::string note_;     // told to all peers
  std::string stopped_;  // why there is no TAP device any more; "" while there is
};

}  // namespace lab::overlay
