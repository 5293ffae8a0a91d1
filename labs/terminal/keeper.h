// Keeper: holds the terminals of one lab, and lets clients at them over a unix socket (protocol.h).
//
// It knows neither labs nor nodes: how a shell is started is handed in, and whether the lab still exists. It ends when
// it is told to, when the lab has gone, and when for a while no shell has run and nobody has asked for anything.
// On one loop. run() is called once, and has ended before destruction.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "base/io/listener.h"
#include "base/io/scope.h"
#include "labs/terminal/held_terminal.h"
#include "labs/terminal/protocol.h"

namespace lab::terminal {

struct KeeperOptions {
  std::function<Task<Result<Shell>>(std::string node, int cols, int rows)> spawn;
  std::function<bool()> lab_exists = [] { return true; };
  std::function<std::shared_ptr<void>()> exclusive = [] { return nullptr; };  // held while the socket's file goes
  Duration look = std::chrono::seconds(1);                                    // how often it asks that
  Duration idle = std::chrono::minutes(5);
};

class Keeper {
 public:
  Keeper(std::unique_ptr<Listener> listener, KeeperOptions options);
  ~Keeper();
  // Until the end; then the socket has gone, every terminal was hung up, and every connection is closed.
  Task<void> run(std::stop_token stop);

 private:
  class Connection;
  friend class Connection;

  Task<void> accept_all();
  Task<void> serve(OwnedFd fd);
  Task<void> look_after();
  Task<Result<json::Value>> open(std::string node, int cols, int rows);
  std::shared_ptr<HeldTerminal> find(const std::string& id) const;
  void close(const std::string& id);
  json::Value list() const;
  std::string title_of(const std::string& node) const;
  Result<void> make_room();
  void changed();
  void end();
  bool busy() const;

  std::unique_ptr<Listener> listener_;
  KeeperOptions options_;
  std::unique_ptr<Scope> scope_;
  std::vector<std::shared_ptr<HeldTerminal>> terminals_;  // as they were opened
  std::list<Connection*> connections_;
  int opening_ = 0;
  bool ending_ = false;
  lab::Event changed_, end_;
};

}  // namespace lab::terminal
