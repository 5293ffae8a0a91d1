// What libvirt is told and what it tells, as XML (https://libvirt.org/format.html): written and read with pugixml,
// never by putting strings together. Pure: no I/O.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/netlink/address.h"

namespace lab::join::vm {

// The mark in the metadata of everything that is ours: to whom it belongs, and as what.
struct Tag {
  std::string group;    // "vm", or the profile of a lab
  std::string machine;  // empty: it belongs to the group as a whole
  bool operator==(const Tag&) const = default;
};

struct DomainShape {
  std::string name, uuid;
  Tag tag;
  std::string type = "qemu";  // "kvm"; "test" for libvirt's test driver
  std::string arch = "x86_64";
  std::uint64_t memory_bytes = 0;
  int cpus = 1;
  std::string kernel, initrd, command_line;  // empty: it boots from its disk
  std::string disk, seed;                    // files: a qcow2, and a raw one that is only read
  std::string network, mac;
  std::string console_log;  // a file
};
std::string domain_xml(const DomainShape& shape);

struct NetworkShape {
  std::string name, bridge;
  Tag tag;
  Cidr subnet;  // its first address is the bridge's; .200 to .250 are for machines without a reservation
};
std::string network_xml(const NetworkShape& shape);

struct DhcpHost {
  std::string mac, name, address;
};
std::string dhcp_host_xml(const DhcpHost& host);
// What a network's XML reserves for that MAC address.
std::optional<DhcpHost> find_dhcp_host(std::string_view network_xml, const std::string& mac);

std::string pool_xml(const std::string& name, const std::string& directory);
// A qcow2 that holds only what differs from `base`.
std::string overlay_xml(const std::string& name, std::uint64_t bytes, const std::string& base,
                        const std::string& base_format);

// The mark of a domain's or a network's XML; none: it is not ours.
std::optional<Tag> read_tag(std::string_view xml);

}  // namespace lab::join::vm
