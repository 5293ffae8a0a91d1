// The files of a CA's rotation on a master, in three steps: both CAs are trusted (prepare), the new one signs (switch),
// the old one goes (finish). Blocking.
//
// PKI/ca.crt is a bundle meanwhile; its first certificate signs, with ca.key. PKI/ca-rotation/ keeps both pairs, and
// the new CA as certified by the old one (cross.crt), which is sent behind what the new one signed: whoever trusts the
// old CA alone still verifies it. Each step may be repeated, and goes on where a run that was killed ended.
#pragma once

#include <functional>
#include <string>

#include "bootstrap/certs/certs.h"

namespace lab::bootstrap::certs {

enum class CaStep { kNone, kPrepared, kSwitched };

struct CaRotation {
  CaStep step = CaStep::kNone;
  std::string old_pin, new_pin;  // sha256:...; empty in kNone
  std::string bundle;            // ca.crt
};
Result<CaRotation> ca_rotation(const Places& places);

// The new CA is made, and trusted by what reads ca.crt and by this master's kubeconfigs. kInvalid after a switch.
// `agree` runs when it is made and nothing trusts it yet: there several masters settle on one (ca_sharing.h).
Result<void> prepare_ca(const Places& places, std::chrono::hours ca_validity,
                        const std::function<Result<void>()>& agree = {});
// The new CA signs from here on; certificates and kubeconfigs of this master that the old one signed are made anew.
// kInvalid before prepare_ca().
Result<void> switch_ca(const Renewal& how);
// ca.crt and the kubeconfigs know the new CA alone. The old pair stays in ca-rotation/ until forget_old_ca().
Result<void> finish_ca(const Places& places);
Result<void> forget_old_ca(const Places& places);

// The API server was restarted with the files of this step: until then, files say more than is served.
Result<void> mark_served(const Places& places);
CaStep served_step(const Places& places);

// What is sent behind a certificate that `ca_pem` signed: the cross-certificate while old clients are to be served,
// else "".
std::string chain_behind(const Places& places, const std::string& ca_pem);

}  // namespace lab::bootstrap::certs
