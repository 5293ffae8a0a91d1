#include "labs/classroom/server/service.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <set>
#include <thread>

#include "base/fs.h"
#include "base/io/listener.h"
#include "base/io/scope.h"
#include "base/log.h"
#include "labs/classroom/model/student_lab.h"
#include "labs/classroom/server/auth.h"
#include "labs/classroom/server/look.h"
#include "labs/classroom/server/watcher.h"
#include "labs/terminal/client.h"
#include "orchestrator/api/time.h"

namespace lab::classroom {

namespace {

constexpr auto kTurn = std::chrono::milliseconds(1000);     // of the keeper's thread
constexpr auto kTogether = std::chrono::milliseconds(200);  // changes of a class are told together
constexpr auto kLookOften = std::chrono::seconds(2);        // at a lab whose page is open
constexpr auto kLookSeldom = std::chrono::seconds(10);      // at one that a teacher's list shows
constexpr auto kClassAnyway = std::chrono::seconds(10);     // for what grows with time alone
constexpr auto kTerminalsAgain = std::chrono::seconds(2);
constexpr int kBlockingThreads = 8;

using Clock = std::chrono::steady_clock;

int processors() {
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

std::string class_file(const std::string& name) {
  return fs::join(kClassesDirectory, name + "/class.json");
}

std::string stamp_of(const std::string& path) {
  struct stat st;
  if (::stat(path.c_str(), &st) != 0) return {};
  return std::to_string(st.st_ino) + "." + std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec);
}

// One server a class: two would both look at every lab and write every session.
Result<OwnedFd> serve_alone(const std::string& class_name) {
  const std::string path = fs::join(kClassesDirectory, class_name + "/server.lock");
  OwnedFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd.get() < 0) return fail_errno("open " + path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
    const std::string pid = std::to_string(::getpid());
    (void)!::ftruncate(fd.get(), 0);
    (void)!::pwrite(fd.get(), pid.data(), pid.size(), 0);
    return fd;
  }
  char holder[32] = "";
  (void)!::pread(fd.get(), holder, sizeof holder - 1, 0);
  return fail(Code::kConflict, "class \"" + class_name + "\" is served already, by process " + holder,
              "end that one, or serve another class: lab play --class NAME");
}

bool is_over(const Class& one) {
  const auto ends = api::parse_time(one.ends);
  return ends && std::chrono::system_clock::now() >= *ends;
}

}  // namespace

struct Service::Impl {
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
  Pool pool{"classroom", kBlockingThreads};
  LoopThread thread{"classroom"};
  Scope scope;
  Jobs jobs;
  std::thread keeper;

  // ---- classes ----

  std::mutex loading;
  Result<void> load(bool first) {
    std::lock_guard one_at_a_time(loading);
    LAB_TRY(auto names, list_classes());
    if (!options.only_class.empty()) std::erase_if(names, [&](const auto& n) { return n != options.only_class; });
    std::vector<PlacePtr> gone;
    for (const auto& name : names) {
      const auto stamp = stamp_of(class_file(name));
      if (stamp.empty() || is_current(name, stamp)) continue;
      auto one = load_class(name);
      if (!one) {
        if (first) return std::unexpected(std::move(one).error());
        continue;  // it is being deleted, or will be looked at again
      }
      if (auto taken = take_in(*one, stamp, gone); !taken && first) return taken;
    }
    close_missing(names, gone);
    gone.clear();  // their watchers end here, outside of the lock
    std::lock_guard lock(mutex);
    std::vector<Class> all;
    for (const auto& [name, room] : rooms) all.push_back(room.what);
    cookies.set(all);
    return {};
  }

  bool is_current(const std::string& name, const std::string& stamp) {
    std::lock_guard lock(mutex);
    const auto found = rooms.find(name);
    return found != rooms.end() && found->second.stamp == stamp;
  }

  Result<void> take_in(const Class& one, const std::string& stamp, std::vector<PlacePtr>& gone) {
    bool known;
    {
      std::lock_guard lock(mutex);
      known = rooms.contains(one.name);
    }
    OwnedFd alone;
    if (!known) {
      auto held = serve_alone(one.name);
      if (!held) {
        std::lock_guard lock(mutex);
        if (refused.insert(one.name).second) log::warn("a class is not served", {{"error", held.error().text()}});
        return std::unexpected(std::move(held).error());
      }
      alone = std::move(*held);
    }
    std::lock_guard lock(mutex);
    auto& room = rooms[one.name];
    if (!known) room.lock = std::move(alone);
    room.what = one;
    room.stamp = stamp;
    auto before = std::exchange(room.places, {});
    for (const auto& student : one.students) {
      auto found =
          std::ranges::find_if(before, [&](const PlacePtr& p) { return p && p->seat->student == student.name; });
      if (found != before.end()) {
        room.places.push_back(std::move(*found));
        continue;
      }
      auto seat = std::make_shared<Seat>(one.name, student, [this] { mark_dirty(); });
      room.places.push_back(std::make_shared<Place>(seat, options.ports_port, slots));
      Jobs::recover(seat);
    }
    for (auto& place : before)
      if (place) gone.push_back(std::move(place));
    const bool runs = !one.paused && !one.ending && !is_over(one);
    for (const auto& place : room.places) {
      place->seat->set(
          "title", json::Value(one.find(place->seat->student)->title.empty() ? place->seat->student
                                                                             : one.find(place->seat->student)->title));
      place->seat->set("nodeLimit", one.node_limit);
      place->seat->set("ends", json::Value(one.ends));
      place->seat->set("paused", one.paused);
      place->watcher.allow(runs);
      place->looked = {};
    }
    dirty = true;
    return {};
  }

  void close_missing(const std::vector<std::string>& names, std::vector<PlacePtr>& gone) {
    std::lock_guard lock(mutex);
    for (auto it = rooms.begin(); it != rooms.end();) {
      if (std::ranges::find(names, it->first) != names.end()) {
        ++it;
        continue;
      }
      for (auto& place : it->second.places) gone.push_back(std::move(place));
      it->second.notices->publish(json::dump(json::Object{{"type", "notice"}, {"text", "The class has ended."}}));
      it = rooms.erase(it);
    }
  }

  void mark_dirty() {
    // Seats call this while others hold the lock (a class is taken in): no lock here, the keeper looks every turn.
    changed = true;
    news.notify_one();
  }
  std::atomic<bool> changed = false;

  // ---- what is done again and again ----

  void keep() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      news.wait_for(lock, kTurn, [&] { return stopping || changed || dirty; });
      if (stopping) return;
      lock.unlock();
      std::this_thread::sleep_for(kTogether);
      const bool told_now = changed.exchange(false);
      if (files_changed())
        if (auto loaded = load(false); !loaded) log::warn("classes cannot be read", {{"error", loaded.error().text()}});
      look_around();
      tell_classes(told_now);
      lock.lock();
    }
  }

  bool files_changed() {
    auto names = list_classes();
    if (!names) return false;
    if (!options.only_class.empty()) std::erase_if(*names, [&](const auto& n) { return n != options.only_class; });
    std::map<std::string, std::string> now;
    for (const auto& name : *names)
      if (auto stamp = stamp_of(class_file(name)); !stamp.empty()) now[name] = stamp;
    std::lock_guard lock(mutex);
    if (rooms.size() > now.size()) return true;
    for (const auto& [name, stamp] : now) {
      const auto found = rooms.find(name);
      if (found == rooms.end() ? !refused.contains(name) : found->second.stamp != stamp) return true;
    }
    return false;
  }

  // Labs are looked at while somebody sees what comes of it, and once at the beginning.
  void look_around() {
    std::vector<PlacePtr> due;
    {
      std::lock_guard lock(mutex);
      const auto now = Clock::now();
      for (auto& [name, room] : rooms) {
        const bool over = is_over(room.what);
        for (auto& place : room.places) {
          if (over) place->watcher.allow(false);
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

  void look(PlacePtr place) {
    if (place->looking.exchange(true)) return;
    pool.submit([this, place] {
      look_now(*place, jobs.busy(place->seat) ? Work::kGoesOn : Work::kNone);
      place->looking = false;
    });
  }

  enum class Work { kNone, kGoesOn };
  void look_now(Place& place, Work work, const std::string& error = {}) {
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

  void tell_classes(bool any_change) {
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

  json::Value class_state(const std::string& name) const {
    std::lock_guard lock(mutex);
    const auto found = rooms.find(name);
    if (found == rooms.end()) return nullptr;
    const auto& room = found->second;
    json::Array rows;
    for (const auto& place : room.places) rows.push_back(place->seat->row());
    return json::Object{{"name", room.what.name}, {"language", room.what.language}, {"exercise", room.what.exercise},
                        {"ends", room.what.ends}, {"paused", room.what.paused},     {"students", std::move(rows)}};
  }

  // ---- jobs, terminals ----

  PlacePtr place_of(const SeatPtr& seat) const {
    std::lock_guard lock(mutex);
    const auto found = rooms.find(seat->class_name);
    if (found != rooms.end())
      for (const auto& place : found->second.places)
        if (place->seat == seat) return place;
    return nullptr;
  }

  void before_job(const SeatPtr& seat) {
    auto place = place_of(seat);
    if (!place) return;
    place->watcher.suspend();
    look_now(*place, Work::kGoesOn);
  }

  void after_job(const SeatPtr& seat, const std::string& error) {
    auto place = place_of(seat);
    if (!place) return;
    look_now(*place, Work::kNone, error);
    place->watcher.resume();
  }

  // The seat's terminals, from the keeper that holds them. Begun by the first page, and goes on: it costs a socket.
  static Task<void> follow_terminals(std::weak_ptr<Place> weak, std::stop_token stop) {
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

  static json::Array terminals_json(const std::vector<terminal::Terminal>& list) {
    json::Array out;
    for (const auto& t : list) {
      json::Object one{{"id", t.id}, {"node", t.node}, {"title", t.title}, {"cols", t.cols}, {"rows", t.rows}};
      one["exited"] = t.exited ? json::Value(*t.exited) : json::Value(nullptr);
      out.push_back(std::move(one));
    }
    return out;
  }

  void close() {
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
};

Service::Service(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Service::~Service() {
  impl_->close();
}

Result<std::unique_ptr<Service>> Service::open(ServiceOptions options) {
  if (!options.only_class.empty()) LAB_CHECK(load_class(options.only_class));
  std::unique_ptr<Service> out(new Service(std::make_unique<Impl>(std::move(options))));
  LAB_CHECK(out->impl_->load(true));
  out->impl_->keeper = std::thread([impl = out->impl_.get()] { impl->keep(); });
  return out;
}

std::vector<Class> Service::classes() const {
  std::lock_guard lock(impl_->mutex);
  std::vector<Class> out;
  for (const auto& [name, room] : impl_->rooms) out.push_back(room.what);
  return out;
}

std::optional<Class> Service::find_class(const std::string& name) const {
  std::lock_guard lock(impl_->mutex);
  const auto found = impl_->rooms.find(name);
  if (found == impl_->rooms.end()) return std::nullopt;
  return found->second.what;
}

void Service::reload() {
  if (auto loaded = impl_->load(false); !loaded)
    log::warn("classes cannot be read", {{"error", loaded.error().text()}});
}

Result<Class> Service::change(const std::string& name, const std::function<Result<void>(Class&)>& apply) {
  LAB_TRY(auto lock, ClassLock::take(name));
  LAB_TRY(auto one, load_class(name));
  LAB_CHECK(apply(one));
  LAB_CHECK(save_class(one));
  reload();
  return one;
}

SeatPtr Service::seat(const std::string& class_name, const std::string& student) const {
  std::lock_guard lock(impl_->mutex);
  const auto found = impl_->rooms.find(class_name);
  if (found != impl_->rooms.end())
    for (const auto& place : found->second.places)
      if (place->seat->student == student) return place->seat;
  return nullptr;
}

std::vector<SeatPtr> Service::seats(const std::string& class_name) const {
  std::lock_guard lock(impl_->mutex);
  std::vector<SeatPtr> out;
  const auto found = impl_->rooms.find(class_name);
  if (found != impl_->rooms.end())
    for (const auto& place : found->second.places) out.push_back(place->seat);
  return out;
}

json::Value Service::class_state(const std::string& class_name) const {
  return impl_->class_state(class_name);
}

std::shared_ptr<Topic> Service::class_topic(const std::string& class_name) const {
  std::lock_guard lock(impl_->mutex);
  const auto found = impl_->rooms.find(class_name);
  return found == impl_->rooms.end() ? nullptr : found->second.topic;
}

std::shared_ptr<Topic> Service::notices(const std::string& class_name, const std::string& student) const {
  std::lock_guard lock(impl_->mutex);
  const auto found = impl_->rooms.find(class_name);
  if (found == impl_->rooms.end()) return nullptr;
  if (student.empty()) return found->second.notices;
  auto& topic = found->second.student_notices[student];
  if (!topic) topic = std::make_shared<Topic>();
  return topic;
}

void Service::notice(const std::string& class_name, const std::string& student, const std::string& text) {
  if (auto topic = notices(class_name, student))
    topic->publish(json::dump(json::Object{{"type", "notice"}, {"text", text}}));
}

void Service::look_at(const SeatPtr& seat) {
  auto place = impl_->place_of(seat);
  if (!place) return;
  impl_->look(place);
  place->watcher.wake();
  impl_->thread.loop().post([impl = impl_.get(), place] {
    if (std::exchange(place->follows_terminals, true)) return;
    impl->scope.spawn("terminals", Impl::follow_terminals(place, impl->scope.token()));
  });
}

Result<std::string> Service::start_job(const SeatPtr& seat, const std::vector<std::string>& what) {
  const std::string& verb = what.at(0);
  return impl_->jobs.start(seat, verb == "add-node" || verb == "delete-node" ? "node" : verb,
                           {job_command(seat->class_name, seat->student, what)});
}

Jobs& Service::jobs() {
  return impl_->jobs;
}
Pool& Service::pool() {
  return impl_->pool;
}
Loop& Service::loop() {
  return impl_->thread.loop();
}

std::optional<Visitor> Service::admitted(const std::string& cookie) const {
  std::lock_guard lock(impl_->mutex);
  return impl_->cookies.find(cookie);
}

std::optional<Visitor> Service::visitor(const std::string& secret) const {
  return visitor_of(classes(), secret);
}

std::optional<std::string> Service::cookie_for(const Visitor& visitor) const {
  std::lock_guard lock(impl_->mutex);
  return impl_->cookies.of(visitor);
}

std::string Service::closed_to_students(const std::string& class_name) const {
  const auto one = find_class(class_name);
  if (!one) return "there is no such class any more";
  if (one->ending) return "the class is being ended";
  if (is_over(*one)) return "the class has ended";
  if (one->paused) return "the class is paused";
  return {};
}

}  // namespace lab::classroom
