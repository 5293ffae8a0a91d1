// Between the plain structures of cri.h and the CRI's messages. Only the cri*.cpp files include this.
#pragma once

#include "cri.pb.h"
#include "orchestrator/agent/cri.h"

namespace lab::agent::cri {

namespace pb = runtime::v1;

pb::PodSandboxConfig to_pb(const SandboxConfig& config);
pb::ContainerConfig to_pb(const ContainerConfig& config);
pb::LinuxContainerResources to_pb(const Resources& resources);
Sandbox from_pb(const pb::PodSandbox& message);
SandboxStatus from_pb(const pb::PodSandboxStatus& message);
Container from_pb(const pb::Container& message);
ContainerStatus from_pb(const pb::ContainerStatus& message);
Image from_pb(const pb::Image& message);
ContainerStats from_pb(const pb::ContainerStats& message);

}  // namespace lab::agent::cri
