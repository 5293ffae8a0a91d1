#include "bootstrap/certs/certs.h"

namespace lab::bootstrap::certs {

const std::vector<Row>& rows() {
  // In the order of names, as kubeadm prints them.
  static const std::vector<Row> all{
      {.name = "admin.conf",
       .what = "certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself",
       .path = "admin.conf",
       .ca = "ca",
       .kubeconfig = true},
      {.name = "apiserver", .what = "certificate for serving the Kubernetes API", .path = "apiserver", .ca = "ca"},
      {.name = "apiserver-etcd-client",
       .what = "certificate the apiserver uses to access etcd",
       .path = "apiserver-etcd-client",
       .ca = "etcd/ca",
       .optional = true},
      {.name = "apiserver-kubelet-client",
       .what = "certificate for the API server to connect to kubelet",
       .path = "apiserver-kubelet-client",
       .ca = "ca"},
      {.name = "controller-manager.conf",
       .what = "certificate embedded in the kubeconfig file for the controller manager to use",
       .path = "controller-manager.conf",
       .ca = "ca",
       .kubeconfig = true},
      {.name = "etcd-healthcheck-client",
       .what = "certificate for liveness probes to healthcheck etcd",
       .path = "etcd/healthcheck-client",
       .ca = "etcd/ca",
       .optional = true},
      {.name = "etcd-peer",
       .what = "certificate for etcd nodes to communicate with each other",
       .path = "etcd/peer",
       .ca = "etcd/ca",
       .optional = true},
      {.name = "etcd-server",
       .what = "certificate for serving etcd",
       .path = "etcd/server",
       .ca = "etcd/ca",
       .optional = true},
      {.name = "front-proxy-client",
       .what = "certificate for the front proxy client",
       .path = "front-proxy-client",
       .ca = "front-proxy-ca"},
      {.name = "scheduler.conf",
       .what = "certificate embedded in the kubeconfig file for the scheduler manager to use",
       .path = "scheduler.conf",
       .ca = "ca",
       .kubeconfig = true},
      {.name = "super-admin.conf",
       .what = "certificate embedded in the kubeconfig file for the super-admin",
       .path = "super-admin.conf",
       .ca = "ca",
       .kubeconfig = true},
  };
  return all;
}

const Row* find_row(const std::string& name) {
  for (const auto& row : rows())
    if (row.name == name) return &row;
  return nullptr;
}

std::string ca_name(const std::string& path) {
  std::string out = path;
  if (auto slash = out.find('/'); slash != std::string::npos) out[slash] = '-';
  return out;
}

}  // namespace lab::bootstrap::certs
