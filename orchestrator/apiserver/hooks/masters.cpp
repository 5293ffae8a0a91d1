#include "orchestrator/apiserver/hooks/masters.h"

#include <algorithm>

#include "orchestrator/api/time.h"

namespace lab::apiserver::hooks {

namespace {

constexpr std::string_view kNamespace = "kube-system", kPrefix = "kube-apiserver-";

std::string lease_name(std::string address) {
  std::ranges::replace(address, ':', '-');
  return std::string(kPrefix) + address;
}

}  // namespace

MasterLeases::MasterLeases(std::string address)
    : address_(std::move(address)),
      name_(lease_name(address_)),
      kind_(api::find_kind_by_name("coordination.k8s.io/v1", "Lease")) {}

Task<Result<std::vector<std::string>>> MasterLeases::renew(const ObjectReader& reader, ObjectWriter& writer) {
  const std::string now = api::format_micro_time(Loop::current()->wall());
  auto fill = [address = address_, now](json::Value& lease) -> Result<void> {
    json::set(lease, address, "spec", "holderIdentity");
    json::set(lease, std::chrono::duration_cast<std::chrono::seconds>(kLost).count(), "spec", "leaseDurationSeconds");
    json::set(lease, now, "spec", "renewTime");
    return {};
  };
  ObjectWriter::Change change = fill;
  auto renewed = co_await writer.mutate(kind_, std::string(kNamespace), name_, change);
  if (!renewed && renewed.error().code == Code::kNotFound) {
    json::Value lease = json::Object{{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}};
    json::set(lease, name_, "metadata", "name");
    json::set(lease, kNamespace, "metadata", "namespace");
    LAB_CO_CHECK(fill(lease));
    renewed = co_await writer.create(kind_, std::move(lease));
  }
  if (!renewed) co_return std::unexpected(std::move(renewed).error());
  co_return living(reader);
}

std::vector<std::string> MasterLeases::living(const ObjectReader& reader) {
  const TimePoint now = Loop::current()->now();
  std::vector<std::string> out{address_};
  std::map<std::string, Seen> seen;
  for (const auto& lease : reader.list(*kind_, kNamespace)) {
    std::string name(json::str(*lease, "metadata", "name")), holder(json::str(*lease, "spec", "holderIdentity"));
    if (!name.starts_with(kPrefix) || holder.empty() || holder == address_) continue;
    std::string renewed(json::str(*lease, "spec", "renewTime"));
    auto before = seen_.find(name);
    Seen here = before != seen_.end() && before->second.renewed == renewed ? before->second : Seen{renewed, now};
    if (now - here.at < kLost) out.push_back(holder);
    seen.emplace(std::move(name), std::move(here));
  }
  seen_ = std::move(seen);
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

Task<Result<void>> MasterLeases::release(ObjectWriter& writer) {
  co_return co_await writer.remove(kind_, std::string(kNamespace), name_);
}

}  // namespace lab::apiserver::hooks
