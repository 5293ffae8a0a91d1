#include "orchestrator/apiserver/hooks/policy.h"

#include <map>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/hooks/kinds.h"
#include "orchestrator/apiserver/hooks/pod.h"
#include "orchestrator/apiserver/hooks/service.h"

namespace lab::apiserver::hooks {
namespace {

class Policy final : public WritePolicy {
 public:
  Policy(std::shared_ptr<ServiceRanges> ranges, const authz::ChainAuthorizer& authorizer, int failure_toleration)
      : authorizer_(authorizer), plugins_(admission::make_plugins(authorizer, failure_toleration)) {
    const std::string rbac = "rbac.authorization.k8s.io";
    table_[{"", "services"}] = service_hooks(std::move(ranges));
    table_[{"", "pods"}] = pod_hooks();
    table_[{"", "namespaces"}] = namespace_hooks();
    table_[{"", "persistentvolumeclaims"}] = claim_hooks();
    table_[{"", "persistentvolumes"}] = volume_hooks();
    table_[{"batch", "jobs"}] = job_hooks();
    table_[{"scheduling.k8s.io", "priorityclasses"}] = priority_class_hooks();
    table_[{"certificates.k8s.io", "certificatesigningrequests"}] = certificate_request_hooks();
    for (const char* plural :
         {"validatingadmissionpolicies", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings"})
      table_[{"admissionregistration.k8s.io", plural}] = cel_policy_hooks();
    for (const char* plural : {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"})
      table_[{"admissionregistration.k8s.io", plural}] = webhook_configuration_hooks();
    for (const char* plural : {"roles", "rolebindings", "clusterroles", "clusterrolebindings"})
      table_[{rbac, plural}] = rbac_hooks(authorizer);
  }

  const Hooks& hooks_of(const api::Kind& kind) const override {
    auto it = table_.find({kind.group, kind.plural});
    return it == table_.end() ? none_ : it->second;
  }

  Result<void> admit(WriteContext& ctx, const json::Value* old, json::Value* object) const override {
    LAB_CHECK(check_put(ctx, old, object));
    for (const auto& plugin : plugins_) LAB_CHECK(plugin.admit(ctx, old, object));
    return {};
  }

  Result<void> admit_before_webhooks(WriteContext& ctx, const json::Value* old, json::Value* object) const override {
    LAB_CHECK(check_put(ctx, old, object));
    for (const auto& plugin : plugins_)
      if (plugin.name != "ResourceQuota" && plugin.name != "ValidatingAdmissionPolicy")
        LAB_CHECK(plugin.admit(ctx, old, object));
    return {};
  }

 private:
  // A PUT of what is not there makes it: whoever may only update may not.
  Result<void> check_put(const WriteContext& ctx, const json::Value* old, const json::Value* object) const {
    if (!admission::is_create(ctx, old, object) || ctx.verb == "create") return {};
    Attributes a{.user = &ctx.user,
                 .verb = "create",
                 .group = ctx.kind.group,
                 .version = ctx.kind.version,
                 .resource = ctx.kind.plural,
                 .subresource = {},
                 .ns = ctx.ns,
                 .name = ctx.name,
                 .path = {}};
    auto decision = authorizer_.authorize(a);
    if (!decision.allowed()) return Failure(forbidden(a, decision));
    return {};
  }

  const authz::ChainAuthorizer& authorizer_;
  std::vector<admission::Plugin> plugins_;
  std::map<std::pair<std::string, std::string>, Hooks> table_;
  Hooks none_;
};

}  // namespace

Result<std::unique_ptr<WritePolicy>> make_write_policy(PolicyOptions options,
                                                       const authz::ChainAuthorizer& authorizer) {
  LAB_TRY(auto network, Network::parse(options.service_cidr));
  auto ranges = std::make_shared<ServiceRanges>(std::move(network), options.node_port_first, options.node_port_last,
                                                options.shared_store);
  return std::make_unique<Policy>(std::move(ranges), authorizer, options.failure_toleration);
}

}  // namespace lab::apiserver::hooks
