#include "labs/classroom/server/service.h"

#include <algorithm>

#include "base/log.h"
#include "labs/classroom/model/student_lab.h"
#include "labs/classroom/server/service_impl.h"

namespace lab::classroom {

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
  LAB_TRY(auto lock, lock_class(name));
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

bool Service::tls() const {
  return impl_->options.tls;
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
