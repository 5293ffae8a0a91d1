#include "tests/contract/bad_input/unharmed.h"

#include <future>

namespace lab::apiserver {

std::map<std::string, std::string> BadInput::state() {
  std::promise<Result<store::RangeResult>> promise;
  store_->range({}, [&](Result<store::RangeResult> r) { promise.set_value(std::move(r)); });
  auto read = promise.get_future().get();
  std::map<std::string, std::string> out;
  EXPECT_TRUE(read) << (read ? "" : read.error().text());
  if (read)
    for (const auto& item : read->items) out.emplace(item.key, *item.value);
  return out;
}

void BadInput::expect_refused(const Answer& answer, int status, const std::string& words) {
  EXPECT_EQ(answer.status, status) << answer.text;
  EXPECT_EQ(json::str(answer.body, "kind"), "Status") << answer.text;
  EXPECT_EQ(json::num(answer.body, "code"), status) << answer.text;
  EXPECT_NE(json::str(answer.body, "message").find(words), std::string_view::npos) << words << "\n" << answer.text;
}

}  // namespace lab::apiserver
