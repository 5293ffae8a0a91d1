#include "tests/contract/bad_input/unharmed.h"

namespace lab::apiserver {

void BadInput::expect_refused(const Answer& answer, int status, const std::string& words) {
  EXPECT_EQ(answer.status, status) << answer.text;
  EXPECT_EQ(json::str(answer.body, "kind"), "Status") << answer.text;
  EXPECT_EQ(json::num(answer.body, "code"), status) << answer.text;
  EXPECT_NE(json::str(answer.body, "message").find(words), std::string_view::npos) << words << "\n" << answer.text;
}

}  // namespace lab::apiserver
