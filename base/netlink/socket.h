// Internal to this folder: Netlink's socket, and collecting the objects of a dump.
#pragma once

#include <vector>

#include "base/netlink/message.h"
#include "base/netlink/netlink.h"

namespace lab {

class Netlink::Socket {
 public:
  explicit Socket(nl::RequestSocket socket) : socket_(std::move(socket)) {}

  Result<void> request(const nl::Message& message, const std::string& what) { return socket_.request(message, what); }

  // parse(header) gives an optional<T>; those that are set are collected.
  template <class T, class F>
  Result<std::vector<T>> collect(const nl::Message& message, const std::string& what, F parse) {
    std::vector<T> out;
    LAB_CHECK(socket_.request(message, what, [&](nlmsghdr* header) {
      if (!header) return out.clear();
      if (auto item = parse(header)) out.push_back(std::move(*item));
    }));
    return out;
  }

 private:
  nl::RequestSocket socket_;
};

}  // namespace lab
