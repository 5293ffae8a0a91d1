// A server that is given what it must refuse, and whose state must be the same afterwards.
#pragma once

#include "tests/unit/orchestrator/apiserver/fixture.h"

namespace lab::apiserver {

class BadInput : public ServerTest {
 protected:
  // What a client sees after a refusal: a Status that says why in these words.
  void expect_refused(const Answer& answer, int status, const std::string& words);
};

}  // namespace lab::apiserver
