// The files of a rotation of the key that signs service accounts' tokens, on a master, in three steps as a CA's has
// (ca_rotation.h): both keys are accepted (prepare), the new one signs (switch), the old one goes (finish). Blocking.
//
// PKI/sa.pub holds the public keys that are accepted, PKI/sa.key the one that signs, PKI/sa-rotation/ both private keys
// meanwhile. Each step may be repeated, and goes on where a run that was killed ended. A master that joined in the
// middle has no sa-rotation/ and may take the last step nevertheless.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bootstrap/certs/ca_rotation.h"

namespace lab::bootstrap::certs {

inline constexpr const char* kKeyRotation = "sa-rotation";  // below PKI

struct KeyRotation {
  CaStep step = CaStep::kNone;
  std::string old_id, new_id;         // as tokens name them (`kid`); empty in kNone
  std::string signer;                 // of sa.key
  std::vector<std::string> accepted;  // sa.pub
};
Result<KeyRotation> key_rotation(const Places& places);

// The new key is made, and accepted from the API server's next start on. kInvalid after a switch. `agree` runs when it
// is made and nothing accepts it yet: there several masters settle on one (ca_sharing.h).
Result<void> prepare_key(const Places& places, const std::function<Result<void>()>& agree = {});
// The new key signs. kInvalid before prepare_key().
Result<void> switch_key(const Places& places);
// The key that signs is the only one accepted. The old one stays in sa-rotation/ until forget_old_key().
Result<void> finish_key(const Places& places);
Result<void> forget_old_key(const Places& places);

// The API server was restarted with the files of this step.
Result<void> mark_key_served(const Places& places);
CaStep served_key_step(const Places& places);

}  // namespace lab::bootstrap::certs
