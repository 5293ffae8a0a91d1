#include "orchestrator/dns/zone.h"

#include <algorithm>

namespace lab::dns {
namespace {

constexpr std::uint32_t kTtl = 5;  // seconds; changes are known here at once, so clients ask again soon
constexpr std::uint16_t kWeight = 100;

std::string lower(std::string_view s) {
  std::string out(s);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(tolower(c)); });
  return out;
}

std::vector<std::string_view> split(std::string_view name) {
  std::vector<std::string_view> out;
  while (!name.empty()) {
    auto dot = name.find('.');
    out.push_back(name.substr(0, dot));
    if (dot == std::string_view::npos) break;
    name.remove_prefix(dot + 1);
  }
  return out;
}

std::string dashed(const IpAddress& a) {
  auto text = a.text();
  std::ranges::replace(text, a.is_v6() ? ':' : '.', '-');
  return text;
}

bool wants(std::uint16_t type, const IpAddress& a) {
  return type == kAny || type == (a.is_v6() ? kAaaa : kA);
}

void add_unique(std::vector<Record>& records, Record r) {
  if (std::ranges::find(records, r) == records.end()) records.push_back(std::move(r));
}

}  // namespace

bool Zone::owns(std::string_view name) const {
  if (name == domain_) return true;
  return name.size() > domain_.size() && name.ends_with(domain_) && name[name.size() - domain_.size() - 1] == '.';
}

bool Zone::has_namespace(std::string_view name) const {
  return namespaces_.contains(name);
}

std::string Zone::service_name(const std::string& key) const {
  auto slash = key.find('/');
  return key.substr(slash + 1) + "." + key.substr(0, slash) + ".svc." + domain_;
}

void Zone::set_namespace(const std::string& name, bool exists) {
  ++serial_;
  if (exists) {
    namespaces_.insert(name);
  } else {
    namespaces_.erase(name);
  }
}

std::vector<Zone::Endpoint> Zone::endpoints_of(const std::vector<const json::Value*>& slices) {
  std::vector<Endpoint> out;
  for (const auto* slice : slices) {
    std::vector<Port> ports;
    for (const auto& p : json::list(*slice, "ports")) {
      ports.push_back({"_" + lower(json::str(p, "name")), "_" + lower(json::as_str(json::at(p, "protocol"), "TCP")),
                       static_cast<std::uint16_t>(json::num(p, "port"))});
    }
    for (const auto& e : json::list(*slice, "endpoints")) {
      if (!json::as_bool(json::at(e, "conditions", "ready"), true)) continue;
      for (const auto& a : json::list(e, "addresses")) {
        auto address = IpAddress::parse(json::as_str(a));
        if (!address) continue;
        auto hostname = lower(json::str(e, "hostname"));
        out.push_back({hostname.empty() ? dashed(*address) : hostname, *address, ports});
      }
    }
  }
  return out;
}

void Zone::set_service(const std::string& key, const json::Value* service,
                       const std::vector<const json::Value*>& slices) {
  ++serial_;
  remove(key);
  if (!service) return;
  Service s;
  if (json::str(*service, "spec", "type") == "ExternalName") {
    s.external_name = lower(json::str(*service, "spec", "externalName"));
    if (s.external_name.ends_with('.')) s.external_name.pop_back();
  } else if (json::str(*service, "spec", "clusterIP") == "None") {
    s.headless = true;
    s.endpoints = endpoints_of(slices);
  } else {
    for (const auto& ip : json::list(*service, "spec", "clusterIPs")) {
      if (auto a = IpAddress::parse(json::as_str(ip))) s.cluster_ips.push_back(*a);
    }
    auto one = IpAddress::parse(json::str(*service, "spec", "clusterIP"));
    if (s.cluster_ips.empty() && one) s.cluster_ips.push_back(*one);
  }
  for (const auto& p : json::list(*service, "spec", "ports")) {
    s.ports.push_back({"_" + lower(json::str(p, "name")), "_" + lower(json::as_str(json::at(p, "protocol"), "TCP")),
                       static_cast<std::uint16_t>(json::num(p, "port"))});
  }
  add_pointers(key, s);
  services_[key] = std::move(s);
}

void Zone::add_pointers(const std::string& key, Service& s) {
  auto name = service_name(key);
  for (const auto& ip : s.cluster_ips) s.pointers.emplace_back(ip, name);
  for (const auto& e : s.endpoints) s.pointers.emplace_back(e.address, e.hostname + "." + name);
  for (const auto& [ip, target] : s.pointers) pointers_[ip].insert(target);
}

void Zone::remove(const std::string& key) {
  auto at = services_.find(key);
  if (at == services_.end()) return;
  for (const auto& [ip, target] : at->second.pointers) {
    auto& names = pointers_[ip];
    if (auto one = names.find(target); one != names.end()) names.erase(one);
    if (names.empty()) pointers_.erase(ip);
  }
  services_.erase(at);
}

ZoneAnswer Zone::negative(Rcode rcode) const {
  ZoneAnswer out;
  out.answer.rcode = rcode;
  out.answer.authority.push_back(soa_record(domain_, kTtl, serial_));
  return out;
}

ZoneAnswer Zone::found(std::vector<Record> records) const {
  if (records.empty()) return negative(kNoError);
  ZoneAnswer out;
  out.answer.answers = std::move(records);
  return out;
}

ZoneAnswer Zone::answer(const std::string& name, std::uint16_t type) const {
  if (auto address = address_of_reverse_name(name)) return pointer_answer(*address, name, type);
  if (!owns(name)) return {.ours = false};
  if (name == domain_) return apex(name, type);
  auto labels = split(std::string_view(name).substr(0, name.size() - domain_.size() - 1));
  if (labels.back() == "svc") return service_answer(labels, name, type);
  if (labels.back() == "pod") return pod_answer(labels, name, type);
  if (labels.size() == 1 && labels[0] == "dns-version") {
    if (type != kTxt && type != kAny) return negative(kNoError);
    return found({txt_record(name, kTtl, "1.1.0")});
  }
  if (labels.size() == 2 && labels[0] == "ns" && labels[1] == "dns") {
    if (!wants(type, server_)) return negative(kNoError);
    return found({address_record(name, kTtl, server_)});
  }
  if (labels.size() == 1 && labels[0] == "dns") return negative(kNoError);
  return negative(kNxDomain);
}

ZoneAnswer Zone::apex(const std::string& name, std::uint16_t type) const {
  if (type == kSoa) return found({soa_record(name, kTtl, serial_)});
  if (type != kNs) return negative(kNoError);
  auto out = found({name_record(name, kNs, kTtl, "ns.dns." + domain_)});
  if (!server_.empty()) out.answer.additional.push_back(address_record("ns.dns." + domain_, kTtl, server_));
  return out;
}

// labels: [... SERVICE NAMESPACE svc]
ZoneAnswer Zone::service_answer(const std::vector<std::string_view>& labels, const std::string& name,
                                std::uint16_t type) const {
  auto n = labels.size();
  if (n == 1) return negative(kNoError);
  if (n == 2) return negative(has_namespace(labels[0]) ? kNoError : kNxDomain);
  auto at = services_.find(std::string(labels[n - 2]) + "/" + std::string(labels[n - 3]));
  if (at == services_.end() || n > 5) return negative(kNxDomain);
  const auto& s = at->second;
  auto target = service_name(at->first);
  if (n == 5) return srv_answer(s, target, labels[0], labels[1], name, type);
  std::vector<Record> records;
  if (n == 4) {
    bool known = false;
    for (const auto& e : s.endpoints) {
      if (e.hostname != labels[0]) continue;
      known = true;
      if (wants(type, e.address)) add_unique(records, address_record(name, kTtl, e.address));
    }
    return known ? found(std::move(records)) : negative(kNxDomain);
  }
  if (!s.external_name.empty()) {
    if (!valid_name(s.external_name)) return negative(kServFail);
    auto out = found({name_record(name, kCname, kTtl, s.external_name)});
    if (type != kCname) out.chase = s.external_name;
    return out;
  }
  for (const auto& ip : s.cluster_ips) {
    if (wants(type, ip)) records.push_back(address_record(name, kTtl, ip));
  }
  for (const auto& e : s.endpoints) {
    if (wants(type, e.address)) add_unique(records, address_record(name, kTtl, e.address));
  }
  if (type == kSrv) return srv_answer(s, target, "", "", name, type);
  // A headless service without endpoints does not exist for clients that wait for it to appear.
  if (records.empty() && s.headless && s.endpoints.empty()) return negative(kNxDomain);
  return found(std::move(records));
}

// An empty port means all of them.
ZoneAnswer Zone::srv_answer(const Service& s, const std::string& target, std::string_view port,
                            std::string_view protocol, const std::string& name, std::uint16_t type) const {
  auto matches = [&](const Port& p) {
    return p.number &&
           (port.empty() || ((p.name == port || port == "*") && (p.protocol == protocol || protocol == "*")));
  };
  ZoneAnswer out;
  bool known = false;
  if (!s.headless) {
    for (const auto& p : s.ports) {
      if (!matches(p)) continue;
      known = true;
      add_unique(out.answer.answers, srv_record(name, kTtl, kWeight, p.number, target));
    }
    for (const auto& ip : s.cluster_ips) add_unique(out.answer.additional, address_record(target, kTtl, ip));
  }
  for (const auto& e : s.endpoints) {
    for (const auto& p : e.ports) {
      if (!matches(p)) continue;
      known = true;
      add_unique(out.answer.answers, srv_record(name, kTtl, kWeight, p.number, e.hostname + "." + target));
      add_unique(out.answer.additional, address_record(e.hostname + "." + target, kTtl, e.address));
    }
  }
  if (!known) return negative(kNxDomain);
  return type == kSrv || type == kAny ? out : negative(kNoError);
}

// labels: [A-B-C-D NAMESPACE pod]
ZoneAnswer Zone::pod_answer(const std::vector<std::string_view>& labels, const std::string& name,
                            std::uint16_t type) const {
  if (labels.size() == 1) return negative(kNoError);
  if (labels.size() > 3 || !has_namespace(labels[labels.size() - 2])) return negative(kNxDomain);
  if (labels.size() == 2) return negative(kNoError);
  std::string text(labels[0]);
  auto address = [&](char separator) {
    auto copy = text;
    std::ranges::replace(copy, '-', separator);
    return IpAddress::parse(copy);
  };
  auto ip = address('.');
  if (!ip) ip = address(':');
  if (!ip) return negative(kNxDomain);
  if (!wants(type, *ip)) return negative(kNoError);
  return found({address_record(name, kTtl, *ip)});
}

// What is not known here may be known upstream.
ZoneAnswer Zone::pointer_answer(const IpAddress& address, const std::string& name, std::uint16_t type) const {
  auto at = pointers_.find(address);
  if (at == pointers_.end()) return {.ours = false};
  std::vector<Record> records;
  if (type == kPtr || type == kAny) {
    for (const auto& target : at->second) add_unique(records, name_record(name, kPtr, kTtl, target));
  }
  return found(std::move(records));
}

}  // namespace lab::dns
