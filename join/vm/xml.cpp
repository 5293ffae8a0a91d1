#include "join/vm/xml.h"

#include <pugixml.hpp>
#include <sstream>

namespace lab::join::vm {

namespace {

constexpr const char* kNamespace = "urn:lab:machine:1";

using Attributes = std::initializer_list<std::pair<const char*, std::string>>;

pugi::xml_node add(pugi::xml_node parent, const char* name, Attributes attributes = {}, const std::string& text = {}) {
  auto node = parent.append_child(name);
  for (const auto& [key, value] : attributes) node.append_attribute(key).set_value(value.c_str());
  if (!text.empty()) node.text().set(text.c_str());
  return node;
}

void add_tag(pugi::xml_node parent, const Tag& tag) {
  auto mark = add(add(parent, "metadata"), "lab:machine", {{"xmlns:lab", kNamespace}, {"group", tag.group}});
  if (!tag.machine.empty()) mark.append_attribute("name").set_value(tag.machine.c_str());
}

std::string text_of(const pugi::xml_document& document) {
  std::ostringstream out;
  document.save(out, "  ", pugi::format_default | pugi::format_no_declaration);
  return out.str();
}

void add_boot(pugi::xml_node domain, const DomainShape& s) {
  auto os = add(domain, "os");
  add(os, "type", {{"arch", s.arch}}, "hvm");
  if (s.kernel.empty()) {
    add(os, "boot", {{"dev", "hd"}});
    return;
  }
  add(os, "kernel", {}, s.kernel);
  add(os, "initrd", {}, s.initrd);
  add(os, "cmdline", {}, s.command_line);
}

void add_disk(pugi::xml_node devices, const std::string& file, const char* format, const char* target, bool read_only) {
  auto disk = add(devices, "disk", {{"type", "file"}, {"device", "disk"}});
  auto driver = add(disk, "driver", {{"name", "qemu"}, {"type", format}});
  if (!read_only) driver.append_attribute("discard").set_value("unmap");
  add(disk, "source", {{"file", file}});
  add(disk, "target", {{"dev", target}, {"bus", "virtio"}});
  if (read_only) add(disk, "readonly");
}

void add_devices(pugi::xml_node domain, const DomainShape& s) {
  auto devices = add(domain, "devices");
  add_disk(devices, s.disk, "qcow2", "vda", false);
  add_disk(devices, s.seed, "raw", "vdb", true);
  auto link = add(devices, "interface", {{"type", "network"}});
  add(link, "mac", {{"address", s.mac}});
  add(link, "source", {{"network", s.network}});
  add(link, "model", {{"type", "virtio"}});
  auto serial = add(devices, "serial", {{"type", "file"}});
  add(serial, "source", {{"path", s.console_log}});
  add(serial, "target", {{"port", "0"}});
  // The guest's agent opens this when its system is up: libvirt makes an event of it.
  auto channel = add(devices, "channel", {{"type", "unix"}});
  add(channel, "target", {{"type", "virtio"}, {"name", "org.qemu.guest_agent.0"}});
  add(add(devices, "rng", {{"model", "virtio"}}), "backend", {{"model", "random"}}, "/dev/urandom");
  add(devices, "memballoon", {{"model", "none"}});
}

const pugi::xml_node find_mark(const pugi::xml_document& document) {
  for (auto mark : document.document_element().child("metadata").children()) {
    const std::string name = mark.name();
    const auto colon = name.find(':');
    if (colon == std::string::npos) continue;
    const std::string binding = "xmlns:" + name.substr(0, colon);
    if (mark.attribute(binding.c_str()).value() == std::string(kNamespace)) return mark;
  }
  return {};
}

}  // namespace

std::string domain_xml(const DomainShape& s) {
  pugi::xml_document document;
  auto domain = add(document, "domain", {{"type", s.type}});
  add(domain, "name", {}, s.name);
  add(domain, "uuid", {}, s.uuid);
  add(domain, "title", {}, "lab machine " + s.tag.machine);
  add_tag(domain, s.tag);
  add(domain, "memory", {{"unit", "KiB"}}, std::to_string(s.memory_bytes >> 10));
  add(domain, "vcpu", {}, std::to_string(s.cpus));
  add_boot(domain, s);
  if (s.arch == "x86_64") {
    auto features = add(domain, "features");
    add(features, "acpi");
    add(features, "apic");
  }
  // All that the processor, or its emulation, can do.
  if (s.type == "kvm") add(domain, "cpu", {{"mode", "host-passthrough"}});
  if (s.type == "qemu") add(domain, "cpu", {{"mode", "maximum"}});
  add(domain, "clock", {{"offset", "utc"}});
  add(domain, "on_poweroff", {}, "destroy");
  add(domain, "on_reboot", {}, "restart");
  add(domain, "on_crash", {}, "destroy");
  add_devices(domain, s);
  return text_of(document);
}

std::string network_xml(const NetworkShape& s) {
  pugi::xml_document document;
  auto network = add(document, "network");
  add(network, "name", {}, s.name);
  add_tag(network, s.tag);
  add(network, "forward", {{"mode", "nat"}});
  add(network, "bridge", {{"name", s.bridge}, {"stp", "off"}, {"delay", "0"}});
  const std::uint32_t mask = s.subnet.prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - s.subnet.prefix);
  auto ip = add(network, "ip", {{"address", s.subnet.at(1).text()}, {"netmask", IpAddress::v4(mask).text()}});
  add(add(ip, "dhcp"), "range", {{"start", s.subnet.at(200).text()}, {"end", s.subnet.at(250).text()}});
  return text_of(document);
}

std::string dhcp_host_xml(const DhcpHost& host) {
  pugi::xml_document document;
  add(document, "host", {{"mac", host.mac}, {"name", host.name}, {"ip", host.address}});
  return text_of(document);
}

std::optional<DhcpHost> find_dhcp_host(std::string_view xml, const std::string& mac) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size())) return std::nullopt;
  for (auto ip : document.document_element().children("ip"))
    for (auto host : ip.child("dhcp").children("host"))
      if (host.attribute("mac").value() == mac)
        return DhcpHost{.mac = mac, .name = host.attribute("name").value(), .address = host.attribute("ip").value()};
  return std::nullopt;
}

std::string pool_xml(const std::string& name, const std::string& directory) {
  pugi::xml_document document;
  auto pool = add(document, "pool", {{"type", "dir"}});
  add(pool, "name", {}, name);
  add(add(pool, "target"), "path", {}, directory);
  return text_of(document);
}

std::string overlay_xml(const std::string& name, std::uint64_t bytes, const std::string& base,
                        const std::string& base_format) {
  pugi::xml_document document;
  auto volume = add(document, "volume");
  add(volume, "name", {}, name);
  add(volume, "capacity", {{"unit", "bytes"}}, std::to_string(bytes));
  auto target = add(volume, "target");
  add(target, "format", {{"type", "qcow2"}});
  add(add(target, "permissions"), "mode", {}, "0600");
  auto backing = add(volume, "backingStore");
  add(backing, "path", {}, base);
  add(backing, "format", {{"type", base_format}});
  return text_of(document);
}

std::optional<Tag> read_tag(std::string_view xml) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size())) return std::nullopt;
  const auto mark = find_mark(document);
  if (!mark) return std::nullopt;
  return Tag{.group = mark.attribute("group").value(), .machine = mark.attribute("name").value()};
}

}  // namespace lab::join::vm
