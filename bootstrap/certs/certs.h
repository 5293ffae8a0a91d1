// The certificates of a master: when they end, and making them anew. kubeadm's names, columns and texts. Blocking.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "pki/certificate.h"

namespace lab::bootstrap::certs {

struct Places {
  std::string pki = "/etc/kubernetes/pki";
  std::string kubernetes = "/etc/kubernetes";  // of the kubeconfigs
};

// What is renewed: a pair PATH.crt and PATH.key, or a kubeconfig with a certificate inside.
struct Row {
  std::string name;  // "apiserver", "etcd-server", "admin.conf"
  std::string what;  // "certificate for serving the Kubernetes API"
  std::string path;  // below the place: "apiserver", "etcd/server", "admin.conf"
  std::string ca;    // path of its CA's pair: "ca", "front-proxy-ca", "etcd/ca"
  bool kubeconfig = false;
  bool optional = false;  // absent is no fault: the etcd of those who have one
};
const std::vector<Row>& rows();
const Row* find_row(const std::string& name);  // null when there is none
// "etcd-ca": a CA's path as kubeadm names it.
std::string ca_name(const std::string& path);

struct Expiration {
  std::string name, ca;
  bool missing = false;
  bool externally_managed = false;  // the CA's key is not here: what it signed cannot be renewed here
  pki::WallTime ends;
};
struct Expirations {
  std::vector<Expiration> certificates, authorities;
};
// Missing files are rows of their own; Invalid for a file that holds no certificate.
Result<Expirations> check_expiration(const Places& places);
// kubeadm's two tables, and its CertificateExpirationInfo.
std::string expiration_text(const Expirations& e, pki::WallTime now);
json::Value expiration_json(const Expirations& e, pki::WallTime now);
std::string residual_text(std::chrono::seconds left);  // "364d", "9y", "<invalid>"

struct Renewal {
  Places places;
  std::chrono::hours validity{24 * 3650};
  std::string old_address, new_address;  // both or none: names and servers that say the first will say the second
};
// False when there is nothing to renew (an optional row that is absent). NotFound names what is missing.
Result<bool> renew(const Row& row, const Renewal& how);

// Renews those of this master that are past their time (pki/rotation.h; `name` is the machine's own, so that several
// masters do not come at once), for as long as they were good before. What a CA signed whose key is not here, or
// another CA than the one that is here, is left alone.
struct Renewed {
  std::vector<std::string> names, problems;  // "apiserver"; "etcd-peer: ..."
  bool read_by_server = false;               // the API server reads one of them at its start
};
Renewed renew_due(const Places& places, const std::string& name, pki::WallTime now);

// A key and a CSR for every row, as kubeadm certs generate-csr: NAME.key and NAME.csr; for kubeconfigs NAME.conf and
// NAME.conf.csr. AlreadyExists rather than overwriting. Names for a certificate that is not there come from `spec_of`.
struct RequestOptions {
  Places places;
  std::string server;  // of the kubeconfigs
  std::string node_name;
  pki::CertificateSpec (*spec_of)(const Row&, const void*) = nullptr;
  const void* spec_context = nullptr;
};
Result<std::vector<std::string>> generate_requests(const RequestOptions& options);

// Points this machine's daemons, and everything about it that says `old_address`, to `new_address`: the units' flags
// and the node's record. The daemons are restarted by the caller.
Result<std::vector<std::string>> repoint_units(const std::string& old_address, const std::string& new_address);

}  // namespace lab::bootstrap::certs
