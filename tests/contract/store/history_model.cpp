#include "tests/contract/store/history_model.h"

#include <random>

namespace lab::store {

Txn model_txn(std::uint64_t seed, int n) {
  std::mt19937_64 random(seed * 1'000'003 + n);
  Txn out;
  out.changes.push_back(put(kCounterKey, std::to_string(n)));
  int first = static_cast<int>(random() % 20), count = 1 + static_cast<int>(random() % 4);
  for (int i = 0; i < count; ++i) {
    std::string key = "/key/" + std::to_string((first + i) % 20);
    if (random() % 4 == 0) {
      out.changes.push_back(del(key));
      continue;
    }
    std::string value = std::to_string(n) + ":";
    std::size_t size = random() % 8 == 0 ? 9000 : random() % 300;
    while (value.size() < size) value += std::to_string(random());
    out.changes.push_back(put(key, std::move(value)));
  }
  return out;
}

void Model::advance_to(int n) {
  while (at_ < n) {
    for (const auto& change : model_txn(seed_, ++at_).changes) {
      if (change.value)
        state_[change.key] = *change.value;
      else
        state_.erase(change.key);
    }
  }
}

int Model::count_in(Store& store) {
  auto found = range_prefix(store, kCounterKey);
  if (!found || found->items.empty()) return 0;
  return std::stoi(*found->items[0].value);
}

std::string Model::differs(Store& store) const {
  auto found = range_prefix(store, "/");
  if (!found) return found.error().text();
  std::map<std::string, std::string> actual;
  for (const auto& item : found->items) actual[item.key] = *item.value;
  if (found->revision != at_)
    return "revision " + std::to_string(found->revision) + " after " + std::to_string(at_) + " transactions";
  for (const auto& [key, value] : state_)
    if (auto it = actual.find(key); it == actual.end() || it->second != value)
      return key + (it == actual.end() ? " is missing" : " has another value");
  for (const auto& [key, _] : actual)
    if (!state_.contains(key)) return key + " should not exist";
  return {};
}

int rounds_from_environment(int normally) {
  const char* text = std::getenv("LAB_ROUNDS");
  return text && *text ? std::max(1, std::atoi(text)) : normally;
}

}  // namespace lab::store
