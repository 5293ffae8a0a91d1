// KubeletConfiguration (kubelet.config.k8s.io/v1beta1) as it may stand beside kubeadm's documents: its fields as a
// table, in the form of fields.h. What the fields that are taken do is known to orchestrator/agent/configuration.h.
#pragma once

#include "bootstrap/config/fields.h"

namespace lab::bootstrap::config {

const Fields& kubelet_fields();

}  // namespace lab::bootstrap::config
