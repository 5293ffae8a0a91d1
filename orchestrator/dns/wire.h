// The DNS wire format (RFC 1035, EDNS of RFC 6891), as much as a cluster's server and forwarder need.
//
// Names are text: labels joined by dots, lower case, no dot at the end; "" is the root. Everything read is checked
// against the message's bounds; compression pointers must point backwards, so reading ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/netlink/address.h"

namespace lab::dns {

enum Type : std::uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kOpt = 41,
  kIxfr = 251,
  kAxfr = 252,
  kAny = 255,
};
enum Rcode : std::uint8_t {
  kNoError = 0,
  kFormErr = 1,
  kServFail = 2,
  kNxDomain = 3,
  kNotImp = 4,
  kRefused = 5,
  kBadVers = 16,  // of EDNS: its upper bits stand in the OPT record
};

inline constexpr std::size_t kHeaderSize = 12;
inline constexpr std::size_t kPlainUdpLimit = 512;  // without EDNS
inline constexpr std::size_t kOurUdpLimit = 1232;   // what fits every path (DNS flag day 2020)

struct Query {
  std::uint16_t id = 0;
  std::uint8_t opcode = 0;  // 0: a standard query; the answer repeats it
  bool recursion_desired = false;
  std::uint16_t passed_flags = 0;  // AD and CD, for upstream
  bool dnssec_ok = false;
  Rcode problem = kNoError;  // why it cannot be answered: kFormErr, kNotImp, kBadVers
  std::string question;      // as it came: name, type, class
  std::string name;
  std::uint16_t type = 0, klass = 0;
  bool edns = false;
  std::size_t udp_limit = kPlainUdpLimit;  // the largest answer that the client takes over UDP
};

// Nothing for what must not be answered at all: answers, and what is too short to be a message.
std::optional<Query> read_query(std::string_view packet);

struct Record {
  std::string name;
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;
  std::string data;  // names inside are written out in full
  bool operator==(const Record&) const = default;
};

Record address_record(std::string name, std::uint32_t ttl, const IpAddress& address);                  // A or AAAA
Record name_record(std::string name, std::uint16_t type, std::uint32_t ttl, std::string_view target);  // CNAME, PTR, NS
Record srv_record(std::string name, std::uint32_t ttl, std::uint16_t weight, std::uint16_t port,
                  std::string_view target);
Record txt_record(std::string name, std::uint32_t ttl, std::string_view text);
Record soa_record(std::string zone, std::uint32_t ttl, std::uint32_t serial);

struct Answer {
  Rcode rcode = kNoError;
  bool authoritative = true;
  std::vector<Record> answers, authority, additional;
};

// A response of at most `limit` bytes. Answers that do not fit are left out and the TC bit tells; other sections are
// left out silently.
std::string write_response(const Query& query, const Answer& answer, std::size_t limit);
// What upstream is asked on behalf of a client: nothing but the question and whether DNSSEC data is wanted.
std::string write_forwarded(std::uint16_t id, const Query& query);
// A query of our own, as if a client had sent it.
Query make_query(std::string_view name, std::uint16_t type);

struct ReadRecord {
  enum Section : std::uint8_t { kAnswer, kAuthority, kAdditional } section = kAnswer;
  Record record;  // data decompressed for the types that hold one name; else raw
  std::size_t ttl_offset = 0;
};
struct Response {
  std::uint16_t id = 0;
  Rcode rcode = kNoError;
  bool truncated = false;
  std::string question;
  std::vector<ReadRecord> records;  // without OPT
};
// Nothing when it is no well-formed response with one question.
std::optional<Response> read_response(std::string_view packet);

bool valid_name(std::string_view name);                                   // fits into a message
std::string reverse_name(const IpAddress& address);                       // "5.0.96.10.in-addr.arpa"
std::optional<IpAddress> address_of_reverse_name(std::string_view name);  // both families

}  // namespace lab::dns
