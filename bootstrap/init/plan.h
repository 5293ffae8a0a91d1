// What each phase of init would change, in words: behind --dry-run. Nothing is changed, and no daemon is asked.
#pragma once

#include <string>
#include <vector>

#include "bootstrap/init/init.h"

namespace lab::bootstrap {

using Plan = std::vector<std::string>;  // each continues "Would ..."

Plan certificate_plan(InitContext& c, const std::string& name);
Plan kubeconfig_plan(InitContext& c, const std::string& name);
Plan plan_control_plane(InitContext& c);
Plan plan_images(InitContext& c);
Plan plan_kubelet_start(InitContext& c);
Plan plan_wait(InitContext& c);
Plan plan_kubeadm_config(InitContext& c);
Plan plan_kubelet_config(InitContext& c);
Plan plan_mark(InitContext& c);
Plan plan_tokens(InitContext& c);
Plan plan_overlay(InitContext& c);
Plan plan_dns(InitContext& c);
Plan plan_proxy(InitContext& c);
Plan plan_storage(InitContext& c);

}  // namespace lab::bootstrap
