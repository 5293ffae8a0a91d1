// Internal to this folder: one netlink request under construction, and the socket it goes through (libnl).
#pragma once

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/netlink/address.h"
#include "base/result.h"

namespace lab::nl {

class Message {
 public:
  template <class Header>
  Message(int type, int flags, const Header& header) : msg_(nlmsg_alloc_simple(type, flags | NLM_F_REQUEST)) {
    nlmsg_append(msg_.get(), const_cast<Header*>(&header), sizeof header, NLMSG_ALIGNTO);
  }
  void put(int attribute, const void* data, std::size_t size) {
    nla_put(msg_.get(), attribute, static_cast<int>(size), data);
  }
  void put_u8(int attribute, std::uint8_t v) { put(attribute, &v, sizeof v); }
  void put_u16(int attribute, std::uint16_t v) { put(attribute, &v, sizeof v); }
  void put_u32(int attribute, std::uint32_t v) { put(attribute, &v, sizeof v); }
  void put_text(int attribute, const std::string& v) { nla_put_string(msg_.get(), attribute, v.c_str()); }
  void put_address(int attribute, const IpAddress& v) { put(attribute, v.bytes().data(), v.bytes().size()); }
  void put_mac(int attribute, const MacAddress& v) { put(attribute, v.bytes.data(), v.bytes.size()); }
  template <class Header>
  void append(const Header& header) {
    nlmsg_append(msg_.get(), const_cast<Header*>(&header), sizeof header, NLMSG_ALIGNTO);
  }
  template <class F>
  void nest(int attribute, F fill) {
    auto* start = nla_nest_start(msg_.get(), attribute);
    fill();
    nla_nest_end(msg_.get(), start);
  }
  nl_msg* raw() const { return msg_.get(); }

 private:
  struct Free {
    void operator()(nl_msg* m) const { nlmsg_free(m); }
  };
  std::unique_ptr<nl_msg, Free> msg_;
};

// Attributes of one answer, by number; absent ones are null.
template <int Max>
class Attributes {
 public:
  Attributes(nlmsghdr* message, int header_size) { nlmsg_parse(message, header_size, table_, Max, nullptr); }
  explicit Attributes(nlattr* nested) {
    if (nested) nla_parse_nested(table_, Max, nested, nullptr);
  }
  nlattr* operator[](int i) const { return table_[i]; }
  std::uint8_t u8(int i) const { return size(i) >= 1 ? nla_get_u8(table_[i]) : 0; }
  std::uint16_t u16(int i) const { return size(i) >= 2 ? nla_get_u16(table_[i]) : 0; }
  std::uint32_t u32(int i) const { return size(i) >= 4 ? nla_get_u32(table_[i]) : 0; }
  std::string text(int i) const {
    if (!table_[i]) return {};
    const char* data = static_cast<const char*>(nla_data(table_[i]));
    return std::string(data, strnlen(data, static_cast<std::size_t>(nla_len(table_[i]))));
  }
  IpAddress address(int i) const {
    return IpAddress::from_bytes({static_cast<const std::uint8_t*>(data(i)), static_cast<std::size_t>(size(i))});
  }
  MacAddress mac(int i) const {
    MacAddress out;
    if (size(i) == 6) std::memcpy(out.bytes.data(), data(i), 6);
    return out;
  }

 private:
  int size(int i) const { return table_[i] ? nla_len(table_[i]) : 0; }
  const void* data(int i) const { return table_[i] ? nla_data(table_[i]) : nullptr; }
  nlattr* table_[Max + 1] = {};
};

// A request-answer socket of one netlink family in the namespace of the thread that opened it.
class RequestSocket {
 public:
  static Result<RequestSocket> open(int family);
  // Sends, hands every answer to `each`, returns at the end or the acknowledgement. `what` names the operation in
  // errors. When the kernel marks the answer as interrupted by a change, each(nullptr) says "forget what you got" and
  // the question is asked anew.
  Result<void> request(const Message& message, const std::string& what,
                       const std::function<void(nlmsghdr*)>& each = {});

 private:
  struct Free {
    void operator()(nl_sock* s) const { nl_socket_free(s); }
  };
  explicit RequestSocket(nl_sock* socket) : socket_(socket) {}
  Result<bool> receive(unsigned sequence, const std::string& what, const std::function<void(nlmsghdr*)>& each);
  std::unique_ptr<nl_sock, Free> socket_;
};

}  // namespace lab::nl
