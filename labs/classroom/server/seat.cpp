#include "labs/classroom/server/seat.h"

#include <set>

#include "orchestrator/api/time.h"

namespace lab::classroom {

namespace {

constexpr auto kSeenGrain = std::chrono::seconds(20);  // a key stroke is no news for every page

}  // namespace

Seat::Seat(std::string class_of, const Student& who, std::function<void()> changed)
    : class_name(std::move(class_of)), student(who.name), profile(who.profile), changed_(std::move(changed)) {
  state_ = {{"student", student},
            {"title", who.title.empty() ? who.name : who.title},
            {"version", 0},
            {"lab", "none"},
            {"job", nullptr},
            {"nodes", json::Array()},
            {"nodeLimit", 0},
            {"ports", json::Array()},
            {"terminals", json::Array()},
            {"exercise", nullptr},
            {"seen", ""},
            {"ends", ""},
            {"paused", false},
            {"over", false}};
  publish_locked();
}

void Seat::publish_locked() {
  state_["version"] = ++version_;
  topic_->publish(json::dump(json::Object{{"type", "state"}, {"state", state_}}));
}

void Seat::set(std::string_view part, json::Value value) {
  {
    std::lock_guard lock(mutex_);
    auto& now = state_[part];
    if (now == value) return;
    now = std::move(value);
    publish_locked();
  }
  if (changed_) changed_();
}

json::Value Seat::state() const {
  std::lock_guard lock(mutex_);
  return state_;
}

json::Value Seat::part(std::string_view name) const {
  std::lock_guard lock(mutex_);
  const auto* found = state_.if_contains(name);
  return found ? *found : json::Value();
}

void Seat::set_progress(json::Object progress) {
  {
    std::lock_guard lock(mutex_);
    if (progress_ == progress) return;
    progress_ = std::move(progress);
  }
  if (changed_) changed_();
}

json::Value Seat::row() const {
  std::lock_guard lock(mutex_);
  json::Object row = progress_;
  for (const char* part : {"student", "title", "lab", "seen"}) row[part] = state_.at(part);
  row["online"] = online();
  const auto error = json::str(state_, "job", "error");
  if (!error.empty()) row["message"] = error;
  if (!row.contains("message")) row["message"] = "";
  return row;
}

std::vector<std::string> Seat::nodes() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const auto& node : json::as_array(state_.at("nodes"))) out.emplace_back(json::str(node, "name"));
  return out;
}

void Seat::touch() {
  bool stale;
  {
    std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    touched_ = now;
    const auto seen = api::parse_time(json::as_str(state_["seen"]));
    stale = !seen || std::chrono::system_clock::now() - *seen > kSeenGrain;
  }
  if (stale) set("seen", json::Value(api::format_time(std::chrono::system_clock::now())));
}

Seat::Clock::duration Seat::since_touch() const {
  std::lock_guard lock(mutex_);
  return Clock::now() - touched_;
}

std::vector<std::string> node_names(const std::vector<SeatPtr>& seats, int planned) {
  auto in_order = [](const std::string& a, const std::string& b) {
    return std::pair(a.size(), std::string_view(a)) < std::pair(b.size(), std::string_view(b));
  };
  std::set<std::string, decltype(in_order)> names;
  for (const auto& seat : seats)
    for (auto& name : seat->nodes()) names.insert(std::move(name));
  if (names.empty())
    for (int i = 1; i <= planned; ++i) names.insert("node" + std::to_string(i));
  return {names.begin(), names.end()};
}

}  // namespace lab::classroom
