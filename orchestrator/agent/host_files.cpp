// The names a pod sees: its host name, resolver configuration and /etc/hosts.
#include <algorithm>
#include <sstream>

#include "orchestrator/agent/container_config.h"

namespace lab::agent {

namespace {

// resolv.conf(5), the lines that matter.
cri::DnsConfig parse_resolv_conf(std::string_view text) {
  cri::DnsConfig out;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find_first_of("#;")));
    std::string key, word;
    words >> key;
    if (key == "nameserver" && words >> word) {
      if (word.size() > 1 && word.back() == '.') word.pop_back();
      out.servers.push_back(word);
    } else if (key == "search" || key == "domain") {
      out.searches.clear();
      while (words >> word) out.searches.push_back(word);
    } else if (key == "options") {
      while (words >> word) out.options.push_back(word);
    }
  }
  return out;
}

void add_once(std::vector<std::string>& list, const std::string& item) {
  if (std::ranges::find(list, item) == list.end()) list.push_back(item);
}

std::string option_name(const std::string& option) {
  return option.substr(0, option.find(':'));
}

}  // namespace

std::string pod_hostname(const json::Value& pod, const AgentOptions& options) {
  if (uses_host_network(pod)) return options.hostname.empty() ? options.node_name : options.hostname;
  std::string name(json::str(pod, "spec", "hostname"));
  if (name.empty()) name = name_of(pod);
  if (name.size() > 63) {
    name.resize(63);
    while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  }
  std::string sub(json::str(pod, "spec", "subdomain"));
  if (json::flag(pod, "spec", "setHostnameAsFQDN") && !sub.empty())
    return name + "." + sub + "." + namespace_of(pod) + ".svc." + options.cluster_domain;
  return name;
}

cri::DnsConfig pod_dns(const json::Value& pod, const AgentOptions& options, std::string_view host_resolv_conf) {
  auto policy = json::str(pod, "spec", "dnsPolicy");
  if (policy.empty()) policy = "ClusterFirst";
  bool cluster = policy == "ClusterFirstWithHostNet" || (policy == "ClusterFirst" && !uses_host_network(pod));
  cri::DnsConfig out;
  if (policy != "None") {
    out = parse_resolv_conf(host_resolv_conf);
    if (cluster && !options.cluster_dns.empty()) {
      out.servers = options.cluster_dns;
      std::vector<std::string> searches{namespace_of(pod) + ".svc." + options.cluster_domain,
                                        "svc." + options.cluster_domain, options.cluster_domain};
      for (const auto& s : out.searches) add_once(searches, s);
      out.searches = std::move(searches);
      out.options = {"ndots:5"};
    }
  }
  const auto& extra = json::at(pod, "spec", "dnsConfig");
  for (const auto& s : json::list(extra, "nameservers")) add_once(out.servers, std::string(json::as_str(s)));
  for (const auto& s : json::list(extra, "searches")) add_once(out.searches, std::string(json::as_str(s)));
  for (const auto& o : json::list(extra, "options")) {
    std::string name(json::str(o, "name")), value(json::str(o, "value"));
    std::erase_if(out.options, [&](const std::string& have) { return option_name(have) == name; });
    out.options.push_back(value.empty() ? name : name + ":" + value);
  }
  if (out.servers.size() > 3) out.servers.resize(3);  // what the C library reads
  return out;
}

std::string pod_etc_hosts(const json::Value& pod, const AgentOptions& options, const std::vector<std::string>& pod_ips,
                          std::string_view host_hosts_file) {
  std::string out;
  if (uses_host_network(pod)) {
    out = "# Kubernetes-managed hosts file (host network).\n" + std::string(host_hosts_file);
    if (!out.ends_with('\n')) out += '\n';
  } else {
    out =
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n";
    std::string host = pod_hostname(pod, options), sub(json::str(pod, "spec", "subdomain"));
    std::string full = sub.empty() ? "" : host + "." + sub + "." + namespace_of(pod) + ".svc." + options.cluster_domain;
    for (const auto& ip : pod_ips) out += ip + "\t" + (full.empty() ? "" : full + "\t") + host + "\n";
  }
  const auto& aliases = json::list(pod, "spec", "hostAliases");
  if (!aliases.empty()) out += "\n# Entries added by HostAliases.\n";
  for (const auto& a : aliases) {
    out += json::str(a, "ip");
    for (const auto& name : json::list(a, "hostnames")) out += "\t" + std::string(json::as_str(name));
    out += "\n";
  }
  return out;
}

}  // namespace lab::agent
