// Ending a lab's keeper, whatever state it is in. Plain calls: whoever deletes a lab has no loop.
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "base/io/listener.h"
#include "base/subprocess.h"
#include "bootstrap/local/profile.h"
#include "labs/terminal/client.h"
#include "labs/terminal/daemon.h"
#include "labs/terminal/protocol.h"

namespace lab::terminal {

namespace {

constexpr auto kEndLimit = std::chrono::seconds(10);
constexpr auto kKillLimit = std::chrono::seconds(5);

bool wait_gone(pid_t pid, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (process_alive(pid)) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

// The process that listens on the socket, once it has been told to end; 0 where there is none.
pid_t tell_to_end(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  OwnedFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{.tv_sec = 2, .tv_usec = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return 0;
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return 0;
  const auto frame = text_frame(json::Object{{"do", "end"}});
  const std::string bytes = frame_head(frame) + frame.data;
  (void)!::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  // Not before it has read that: closing earlier would be all the same to it, but it may be waiting for its turn.
  char answer[64];
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  (void)!::recv(socket.get(), answer, sizeof answer, 0);
  return peer.pid;
}

}  // namespace

Result<void> end_keeper(const std::string& profile) {
  LAB_CHECK(bootstrap::check_profile_name(profile));
  if (const pid_t pid = tell_to_end(socket_path(profile)); pid > 1 && !wait_gone(pid, kEndLimit)) {
    ::kill(pid, SIGKILL);
    if (!wait_gone(pid, kKillLimit))
      return fail(Code::kTimeout,
                  "the keeper of the terminals of \"" + profile + "\" (pid " + std::to_string(pid) + ") does not end");
  }
  remove_keeper_files(profile);
  return {};
}

}  // namespace lab::terminal
