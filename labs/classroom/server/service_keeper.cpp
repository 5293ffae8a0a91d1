// What is done again and again: files and labs are looked at, and classes told of.
#include <algorithm>

#include "base/log.h"
#include "labs/classroom/model/student_lab.h"
#include "labs/classroom/server/service_impl.h"

namespace lab::classroom {

namespace {

constexpr auto kTurn = std::chrono::milliseconds(1000);     // of the keeper's thread
constexpr auto kTogether = std::chrono::milliseconds(200);  // changes of a class are told together
constexpr auto kLookOften = std::chrono::seconds(2);        // at a lab whose page is open
constexpr auto kLookSeldom = std::chrono::seconds(10);      // at one that a teacher's list shows
constexpr auto kRestAgain = std::chrono::seconds(10);       // after labs could not be made to stand still
constexpr auto kClassAnyway = std::chrono::seconds(10);     // for what grows with time alone

}  // namespace

void Service::Impl::keep() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    news.wait_for(lock, kTurn, [&] { return stopping || changed || dirty; });
    if (stopping) return;
    lock.unlock();
    std::this_thread::sleep_for(kTogether);
    const bool told_now = changed.exchange(false);
    if (files_changed())
      if (auto loaded = load(false); !loaded) log::warn("classes cannot be read", {{"error", loaded.error().text()}});
    end_classes();
    look_around();
    tell_classes(told_now);
    lock.lock();
  }
}

void Service::Impl::mark_dirty() {
  // Seats call this while others hold the lock (a class is taken in): no lock here, the keeper looks every turn.
  changed = true;
  news.notify_one();
}

void Service::Impl::end_classes() {
  std::vector<std::string> due;
  {
    std::lock_guard lock(mutex);
    for (auto& [name, room] : rooms) {
      if (!is_over(room.what) || room.what.ending) continue;
      for (auto& place : room.places) {
        place->watcher.allow(false);
        place->seat->set("over", true);
      }
      if (room.rests_since == room.what.ends || Clock::now() - room.rest_tried < kRestAgain) continue;
      if (room.coming_to_rest) continue;
      room.coming_to_rest = true;
      due.push_back(name);
    }
  }
  for (auto& name : due) pool.submit([this, name] { come_to_rest(name); });
}

void Service::Impl::come_to_rest(const std::string& name) {
  std::string ends;
  if (auto one = load_class(name)) ends = one->ends;
  const auto done = rest_class(name);
  if (done) log::info("a class has ended: its labs stand still", {{"class", name}});
  if (!done) log::warn("labs of a class that has ended go on", {{"class", name}, {"error", done.error().text()}});
  std::lock_guard lock(mutex);
  const auto found = rooms.find(name);
  if (found == rooms.end()) return;
  auto& room = found->second;
  room.coming_to_rest = false;
  room.rest_tried = Clock::now();
  if (done) room.rests_since = ends;
  for (auto& place : room.places) place->looked = {};
}

void Service::Impl::look_around() {
  std::vector<PlacePtr> due;
  {
    std::lock_guard lock(mutex);
    const auto now = Clock::now();
    for (auto& [name, room] : rooms) {
      for (auto& place : room.places) {
        const auto& seat = *place->seat;
        const bool first = place->looked == Clock::time_point{};
        const bool shown = seat.online() || seat.followers > 0;
        const auto pause = shown ? kLookOften : kLookSeldom;
        if (first || ((shown || room.topic->watched()) && now - place->looked >= pause)) {
          place->looked = now;
          due.push_back(place);
        }
      }
    }
  }
  for (auto& place : due) look(std::move(place));
}

void Service::Impl::look(PlacePtr place) {
  if (place->looking.exchange(true)) return;
  pool.submit([this, place] {
    look_now(*place, jobs.busy(place->seat) ? Work::kGoesOn : Work::kNone);
    place->looking = false;
  });
}

void Service::Impl::look_now(Place& place, Work work, const std::string& error) {
  std::lock_guard lock(place.look_mutex);
  auto view = place.look.now();
  if (!view) {
    log::debug("a lab cannot be looked at", {{"lab", place.seat->profile}, {"error", view.error().text()}});
    return;
  }
  const auto job = place.seat->part("job");
  const auto what = json::str(job, "what");
  const bool making = what == "start" || what == "exercise" || what == "reset";
  std::string state = view->state;
  const bool failed = !error.empty() || !json::str(job, "error").empty();
  if (making && work == Work::kGoesOn)
    state = "making";
  else if (making && failed && state != "running" && state != "paused")
    state = "failed";
  const bool news = json::as_str(place.seat->part("lab")) != state;
  place.seat->set("nodes", std::move(view->nodes));
  place.seat->set("lab", json::Value(state));
  if (state != "running") place.seat->set("ports", json::Array());
  if (news) place.watcher.wake();
}

void Service::Impl::tell_classes(bool any_change) {
  std::vector<std::string> names;
  {
    std::lock_guard lock(mutex);
    any_change = std::exchange(dirty, false) || any_change;
    for (const auto& [name, room] : rooms)
      if (any_change || (room.topic->watched() && Clock::now() - room.told >= kClassAnyway)) names.push_back(name);
  }
  for (const auto& name : names) {
    auto state = class_state(name);
    auto steady = state;
    if (auto* rows = json::ensure(steady, "students").if_array())
      for (auto& row : *rows) json::erase(row, "stuck");
    std::lock_guard lock(mutex);
    const auto found = rooms.find(name);
    if (found == rooms.end()) continue;
    auto& room = found->second;
    if (steady == room.shown && Clock::now() - room.told < kClassAnyway) continue;
    room.shown = std::move(steady);
    room.told = Clock::now();
    room.topic->publish(json::dump(json::Object{{"type", "class"}, {"class", std::move(state)}}));
  }
}

json::Value Service::Impl::class_state(const std::string& name) const {
  std::lock_guard lock(mutex);
  const auto found = rooms.find(name);
  if (found == rooms.end()) return nullptr;
  const auto& room = found->second;
  json::Array rows, nodes;
  std::vector<SeatPtr> seats;
  for (const auto& place : room.places) {
    rows.push_back(place->seat->row());
    seats.push_back(place->seat);
  }
  for (auto& node : node_names(seats, room.what.nodes)) nodes.emplace_back(std::move(node));
  return json::Object{{"nodes", std::move(nodes)},      {"name", room.what.name},     {"language", room.what.language},
                      {"exercise", room.what.exercise}, {"ends", room.what.ends},     {"paused", room.what.paused},
                      {"over", is_over(room.what)},     {"students", std::move(rows)}};
}

}  // namespace lab::classroom
