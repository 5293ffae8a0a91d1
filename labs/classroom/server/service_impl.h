// What a Service is made of; for the files that implement it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <set>
#include <thread>

#include "base/io/listener.h"
#include "base/io/scope.h"
#include "labs/classroom/server/auth.h"
#include "labs/classroom/server/look.h"
#include "labs/classroom/server/service.h"
#include "labs/classroom/server/watcher.h"
#include "labs/terminal/client.h"

namespace lab::classroom {

int processors();

struct Service::Impl {
  using Clock = std::chrono::steady_clock;

  // What belongs to a seat, and keeps it current.
  struct Place {
    Place(SeatPtr s, int port, CheckSlots& slots)
        : seat(std::move(s)), look(seat->profile), watcher(seat, port, slots) {}
    SeatPtr seat;
    std::mutex look_mutex;
    Look look;
    Clock::time_point looked{};
    std::atomic<bool> looking = false;
    bool follows_terminals = false;  // on the loop
    Watcher watcher;
  };
  using PlacePtr = std::shared_ptr<Place>;

  struct Room {
    Class what;
    std::string stamp;
    OwnedFd lock;
    std::vector<PlacePtr> places;  // in the class's order
    std::shared_ptr<Topic> topic = std::make_shared<Topic>();
    std::shared_ptr<Topic> notices = std::make_shared<Topic>();
    std::map<std::string, std::shared_ptr<Topic>> student_notices;
    std::string rests_since;  // the end at which its labs were made to stand still
    Clock::time_point rest_tried{};
    bool coming_to_rest = false;
    Clock::time_point told{};
    json::Value shown;  // the state that was told, without what grows with time
  };

  explicit Impl(ServiceOptions o)
      : options(std::move(o)),
        scope(thread.loop()),
        jobs(processors(), {[this](const SeatPtr& s) { before_job(s); },
                            [this](const SeatPtr& s, const std::string& error) { after_job(s, error); }}) {}

  ServiceOptions options;
  CheckSlots slots{std::min<std::ptrdiff_t>(processors(), 64)};
  mutable std::mutex mutex;
  std::condition_variable news;
  std::map<std::string, Room> rooms;
  std::set<std::string> refused;  // classes that another process serves
  Cookies cookies;
  bool dirty = true, stopping = false;
  std::atomic<bool> changed = false;  // a seat's state has
  std::mutex loading;                 // one reader of the disk at a time
  Pool pool{"classroom", 8};          // threads for what blocks
  LoopThread thread{"classroom"};
  Scope scope;
  Jobs jobs;
  std::thread keeper;

  // service_classes.cpp: classes as they stand on disk
  Result<void> load(bool first);
  bool is_current(const std::string& name, const std::string& stamp);
  Result<void> take_in(const Class& one, const std::string& stamp, std::vector<PlacePtr>& gone);
  void close_missing(const std::vector<std::string>& names, std::vector<PlacePtr>& gone);
  bool files_changed();

  // service_keeper.cpp: what is done again and again, on a thread of its own
  void mark_dirty();
  void keep();
  // Labs are looked at while somebody sees what comes of it, and once at the beginning.
  void look_around();
  // The labs of classes whose end has come stand still.
  void end_classes();
  void come_to_rest(const std::string& class_name);  // blocking
  void look(PlacePtr place);
  enum class Work { kNone, kGoesOn };
  void look_now(Place& place, Work work, const std::string& error = {});
  void tell_classes(bool any_change);
  json::Value class_state(const std::string& name) const;

  // service_seats.cpp: jobs, terminals, and the end
  PlacePtr place_of(const SeatPtr& seat) const;
  void before_job(const SeatPtr& seat);
  void after_job(const SeatPtr& seat, const std::string& error);
  // The seat's terminals, from the keeper that holds them. Begun by the first page, and goes on: it costs a socket.
  static Task<void> follow_terminals(std::weak_ptr<Place> weak, std::stop_token stop);
  static json::Array terminals_json(const std::vector<terminal::Terminal>& list);
  void close();
};

}  // namespace lab::classroom
