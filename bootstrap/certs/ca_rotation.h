// The files of a CA's rotation on a master, in three steps: both CAs are trusted (prepare), the new one signs (switch),
// the old one goes (finish). Blocking.
//
// PKI/ca.crt is a bundle meanwhile; its first certificate signs, with ca.key. PKI/ca-rotation/ keeps both pairs, and
// the new CA as certified by the old one (cross.crt), which is sent behind what the new one signed: whoever trusts the
// old CA alone still verifies it. Each step may be repeated, and goes on where a run that was killed ended.
//
// `ca` is the pair's path below PKI, as in Row::ca: "ca", "etcd/ca" (kept in PKI/etcd-ca-rotation) or "front-proxy-ca".
// The latter two are known to masters alone, who all trust both CAs before the new one signs: no certificate of theirs
// is sent with a chain, and no kubeconfig holds them.
#pragma once

#include <functional>
#include <string>

#include "bootstrap/certs/certs.h"

namespace lab::bootstrap::certs {

inline constexpr const char* kClusterCa = "ca";

enum class CaStep { kNone, kPrepared, kSwitched };

struct CaRotation {
  CaStep step = CaStep::kNone;
  std::string old_pin, new_pin;  // sha256:...; empty in kNone
  std::string bundle;            // ca.crt
};
Result<CaRotation> ca_rotation(const Places& places, const std::string& ca = kClusterCa);

// The new CA is made, and trusted by what reads ca.crt and by this master's kubeconfigs. kInvalid after a switch.
// `agree` runs when it is made and nothing trusts it yet: there several masters settle on one (ca_sharing.h).
Result<void> prepare_ca(const Places& places, std::chrono::hours ca_validity,
                        const std::function<Result<void>()>& agree = {}, const std::string& ca = kClusterCa);
// The new CA signs from here on; certificates and kubeconfigs of this master that the old one signed are made anew.
// kInvalid before prepare_ca().
Result<void> switch_ca(const Renewal& how, const std::string& ca = kClusterCa);
// ca.crt and the kubeconfigs know the new CA alone. The old pair stays in ca-rotation/ until forget_old_ca().
Result<void> finish_ca(const Places& places, const std::string& ca = kClusterCa);
Result<void> forget_old_ca(const Places& places, const std::string& ca = kClusterCa);

// The API server was restarted with the files of this step: until then, files say more than is served.
Result<void> mark_served(const Places& places, const std::string& ca = kClusterCa);
CaStep served_step(const Places& places, const std::string& ca = kClusterCa);

// Below PKI, where both pairs are kept: "ca-rotation".
std::string rotation_directory(const std::string& ca);
// The mark of a served step, in the directory where a rotation is kept; key_rotation.h has one, too.
Result<void> write_served(const std::string& directory, CaStep step);
CaStep read_served(const std::string& directory);

// What is sent behind a certificate that the cluster's CA `ca_pem` signed: the cross-certificate while old clients are
// to be served, else "".
std::string chain_behind(const Places& places, const std::string& ca_pem);

}  // namespace lab::bootstrap::certs
