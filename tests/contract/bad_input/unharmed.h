// A server that is given what it must refuse, and whose state must be the same afterwards.
#pragma once

#include <map>

#include "tests/unit/orchestrator/apiserver/fixture.h"

namespace lab::apiserver {

class BadInput : public ServerTest {
 protected:
  // Everything the store holds, by key.
  std::map<std::string, std::string> state();
  // What a client sees after a refusal: a Status that says why in these words.
  void expect_refused(const Answer& answer, int status, const std::string& words);
};

}  // namespace lab::apiserver
