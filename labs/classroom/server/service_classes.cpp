// Classes as they stand on disk, and what is made of them here.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/fs.h"
#include "base/log.h"
#include "labs/classroom/server/service_impl.h"

namespace lab::classroom {

namespace {

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

}  // namespace

Result<void> Service::Impl::load(bool first) {
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

bool Service::Impl::is_current(const std::string& name, const std::string& stamp) {
  std::lock_guard lock(mutex);
  const auto found = rooms.find(name);
  return found != rooms.end() && found->second.stamp == stamp;
}

Result<void> Service::Impl::take_in(const Class& one, const std::string& stamp, std::vector<PlacePtr>& gone) {
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
    auto found = std::ranges::find_if(before, [&](const PlacePtr& p) { return p && p->seat->student == student.name; });
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
    place->seat->set("over", is_over(one));
    place->watcher.allow(runs);
    place->looked = {};
  }
  dirty = true;
  return {};
}

void Service::Impl::close_missing(const std::vector<std::string>& names, std::vector<PlacePtr>& gone) {
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

bool Service::Impl::files_changed() {
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

}  // namespace lab::classroom
