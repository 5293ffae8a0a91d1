// What belongs to a seat beside its state: jobs around its lab, its terminals; and the end of all of it.
#include <algorithm>

#include "labs/classroom/server/service_impl.h"

namespace lab::classroom {

namespace {

constexpr auto kTerminalsAgain = std::chrono::seconds(2);

}  // namespace

int processors() {
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

Service::Impl::PlacePtr Service::Impl::place_of(const SeatPtr& seat) const {
  std::lock_guard lock(mutex);
  const auto found = rooms.find(seat->class_name);
  if (found != rooms.end())
    for (const auto& place : found->second.places)
      if (place->seat == seat) return place;
  return nullptr;
}

void Service::Impl::before_job(const SeatPtr& seat) {
  auto place = place_of(seat);
  if (!place) return;
  place->watcher.suspend();
  look_now(*place, Work::kGoesOn);
}

void Service::Impl::after_job(const SeatPtr& seat, const std::string& error) {
  auto place = place_of(seat);
  if (!place) return;
  look_now(*place, Work::kNone, error);
  place->watcher.resume();
}

json::Array Service::Impl::terminals_json(const std::vector<terminal::Terminal>& list) {
  json::Array out;
  for (const auto& t : list) {
    json::Object one{{"id", t.id}, {"node", t.node}, {"title", t.title}, {"cols", t.cols}, {"rows", t.rows}};
    one["exited"] = t.exited ? json::Value(*t.exited) : json::Value(nullptr);
    out.push_back(std::move(one));
  }
  return out;
}

Task<void> Service::Impl::follow_terminals(std::weak_ptr<Place> weak, std::stop_token stop) {
  while (!stop.stop_requested()) {
    auto place = weak.lock();
    if (!place) co_return;
    const auto seat = place->seat;
    place.reset();
    auto watch = co_await terminal::Terminals(seat->profile).watch();
    if (watch) {
      std::stop_callback on_stop(stop, [&] { (*watch)->close(); });
      while (true) {
        auto list = co_await (*watch)->next();
        if (!list || !*list || weak.expired()) break;
        seat->set("terminals", terminals_json(**list));
      }
    }
    if (!stop.stop_requested()) seat->set("terminals", json::Array());
    if (!co_await sleep_for(kTerminalsAgain, stop)) co_return;
  }
}

void Service::Impl::close() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
    for (auto& [name, room] : rooms)
      for (auto& place : room.places) place->watcher.stop();
    news.notify_all();
  }
  if (keeper.joinable()) keeper.join();
  jobs.stop();
  OneShot<bool> closed;
  Scope closing(thread.loop());
  std::mutex done_mutex;
  std::condition_variable done;
  bool is_closed = false;
  closing.spawn("classroom close", [&]() -> Task<void> {
    co_await scope.close();
    Loop::current()->post([&] {
      std::lock_guard lock(done_mutex);
      is_closed = true;
      done.notify_all();
    });
  });
  std::unique_lock lock(done_mutex);
  done.wait(lock, [&] { return is_closed; });
}

}  // namespace lab::classroom
