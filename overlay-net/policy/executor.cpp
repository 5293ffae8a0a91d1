#include "overlay-net/policy/executor.h"

#include "base/netlink/sysctl.h"

namespace lab::overlay::policy {

Result<Executor> Executor::open() {
  LAB_TRY(auto nft, Nft::open());
  return Executor(std::move(nft));
}

Result<void> Executor::prepare() {
  constexpr const char* kIpv4 = "net/bridge/bridge-nf-call-iptables";
  constexpr const char* kIpv6 = "net/bridge/bridge-nf-call-ip6tables";
  if (!has_sysctl(kIpv4)) {
    return fail(Code::kUnavailable, "the kernel lacks br_netfilter: policies do not hold between pods of one node",
                "run 'modprobe br_netfilter'");
  }
  LAB_CHECK(set_sysctl(kIpv4, "1"));
  if (has_sysctl(kIpv6)) LAB_CHECK(set_sysctl(kIpv6, "1"));
  return {};
}

Result<bool> Executor::table_is_there() {
  LAB_TRY(auto tables, nft_.run("list tables inet"));
  return tables.find(std::string("table ") + kTable) != std::string::npos;
}

Result<std::optional<Program>> Executor::list() {
  LAB_TRY(auto there, table_is_there());
  if (!there) return std::nullopt;
  Program out;
  for (const char* what : {"list sets inet", "list maps inet", "list chains inet"}) {
    LAB_TRY(auto text, nft_.run_json(what));
    LAB_TRY(auto listed, json::parse(text));
    auto part = program_listed(listed);
    out.sets.merge(part.sets);
    out.chains.merge(part.chains);
    out.elements.merge(part.elements);
  }
  return out;
}

Result<void> Executor::run(const std::string& script) {
  if (script.empty()) return {};
  LAB_CHECK(nft_.run(script));
  return {};
}

Result<void> Executor::remove_table() {
  return nft_.delete_table("inet", "lab-policy");
}

Result<void> Executor::clean_up() {
  LAB_TRY(auto executor, open());
  return executor.remove_table();
}

}  // namespace lab::overlay::policy
