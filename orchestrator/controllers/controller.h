// Controller: a loop that moves the state of the cluster towards what objects ask for.
//
// Life cycle: the constructor registers handlers and indexes with the shared informers; then SharedInformers::start();
// then start(), which waits for the informers it uses and works until the scope is closed. The scope closes before the
// controller is destroyed. Everything runs on one loop.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "orchestrator/client/informer.h"
#include "orchestrator/controllers/informers.h"

namespace lab::controllers {

// What every controller is given; outlives all of them.
struct Context {
  client::Client& client;
  SharedInformers& informers;
  client::EventRecorder& events;
  Loop& loop;
  WallTime now() const { return loop.wall(); }
};

class Controller {
 public:
  virtual ~Controller() = default;
  virtual std::string_view name() const = 0;
  virtual void start(Scope& scope) = 0;
};

// A controller of the usual form: keys in a queue, reconcile() for each.
class QueueController : public Controller {
 public:
  std::string_view name() const override { return name_; }
  void start(Scope& scope) override;

 protected:
  QueueController(Context& context, std::string name, int workers = 4);
  // The shared informer; start() waits until it is synced.
  client::Informer& use(const client::Resource& r);
  // Queues the key of every object of r, and of every change to one.
  client::Informer& own(const client::Resource& r);
  // Must be idempotent; an error brings the key back later.
  virtual Task<Result<void>> reconcile(std::string key) = 0;
  // Runs beside the workers, after the informers are synced.
  virtual Task<void> background(std::stop_token) { co_return; }

  Context& context_;
  client::WorkQueue queue_;

 private:
  Task<void> run(std::stop_token stop);
  std::string name_;
  int workers_;
  std::vector<client::Informer*> used_;
};

// Deletes an object (by uid) and takes the outcome into the informer. An object that is gone already is no error.
Task<Result<void>> delete_observed(Context& context, client::Informer& informer, client::Resource r,
                                   client::ObjectPtr object, client::DeleteOptions options = {});
// Whether a creation was refused because its namespace is being deleted: nothing is to be done about it.
bool namespace_terminating(const Error& error);
// Writes the status and takes the outcome into the informer.
Task<Result<json::Value>> write_status(Context& context, client::Informer& informer, client::Resource r,
                                       json::Value object);

}  // namespace lab::controllers
