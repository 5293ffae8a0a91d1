// A keeper whose shells are plain ones of this machine, on a thread of its own, and a reader of what they print.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <future>
#include <memory>
#include <string>

#include "base/io/descriptor.h"
#include "labs/terminal/client.h"
#include "labs/terminal/keeper.h"
#include "labs/terminal/pty.h"

// ASSERT_TRUE for coroutines.
#define CO_ASSERT(condition)                           \
  if (bool ok_ = static_cast<bool>(condition); !ok_) { \
    ADD_FAILURE() << #condition;                       \
    co_return;                                         \
  }

namespace lab::terminal {

inline constexpr auto kPatience = std::chrono::seconds(40);

inline Task<Result<Shell>> plain_shell(std::string node, int cols, int rows) {
  if (node != "here") co_return fail(Code::kNotFound, "there is no node \"" + node + "\"");
  LAB_CO_TRY(auto pty, open_pty(cols, rows));
  LAB_CO_TRY(pid_t pid, run_on(pty,
                               {.argv = {"sh", "-i"},
                                .env = {{"PATH", "/usr/bin:/bin"}, {"PS1", "$ "}, {"TERM", "xterm"}, {"HOME", "/"}}},
                               ChildOf::kThis));
  co_return Shell{std::move(pty.master), pid};
}

class RunningKeeper {
 public:
  explicit RunningKeeper(KeeperOptions options = {}) {
    char name[] = "/tmp/terminal-test-XXXXXX";
    directory_ = ::mkdtemp(name);
    if (!options.spawn) options.spawn = plain_shell;
    auto listener = Listener::bind("unix:" + socket(), 0);
    EXPECT_TRUE(listener);
    keeper_ = std::make_unique<Keeper>(std::move(*listener), std::move(options));
    scope_.spawn("keeper", [this]() -> Task<void> {
      co_await keeper_->run(stop_.get_token());
      ended_.set_value();
    });
  }
  ~RunningKeeper() {
    end();
    std::filesystem::remove_all(directory_);
  }
  void end() {
    stop_.request_stop();
    EXPECT_TRUE(has_ended()) << "the keeper does not end";
  }
  bool has_ended() { return future_.wait_for(kPatience) == std::future_status::ready; }
  std::string socket() const { return directory_ + "/k.sock"; }
  Terminals terminals() const { return Terminals("test", socket()); }

 private:
  std::string directory_;
  std::unique_ptr<Keeper> keeper_;
  std::stop_source stop_;
  std::promise<void> ended_;
  std::future<void> future_ = ended_.get_future();
  LoopThread thread_{"keeper"};
  Scope scope_{thread_.loop()};
};

// What one viewer has seen. Acknowledges what it reads unless told not to.
struct Viewer {
  explicit Viewer(std::unique_ptr<Attachment> a) : view(std::move(a)) {}
  std::unique_ptr<Attachment> view;
  std::string text;  // since the last Start
  std::vector<Start> starts;
  std::optional<int> code;
  std::optional<Resized> size;
  std::uint64_t offset = 0;
  bool acknowledges = true, ended = false;

  // False when the view ended, or the time.
  Task<bool> step() {
    auto event = co_await view->read();
    if (!event || !*event) {
      ended = true;
      co_return false;
    }
    if (auto* start = std::get_if<Start>(&**event)) {
      starts.push_back(*start);
      offset = start->offset;
      text.clear();
    } else if (auto* output = std::get_if<Output>(&**event)) {
      text += output->bytes;
      offset += output->bytes.size();
      if (acknowledges) (void)co_await view->ack(offset);
    } else if (auto* resized = std::get_if<Resized>(&**event)) {
      size = *resized;
    } else {
      code = std::get<Exited>(**event).code;
    }
    co_return true;
  }
  Task<bool> until(std::function<bool()> holds) {
    Deadline deadline(kPatience, [this] { view->close(); });
    while (!holds() && co_await step()) {
    }
    if (!holds()) ADD_FAILURE() << "the last that was seen: " << text.substr(text.size() > 800 ? text.size() - 800 : 0);
    co_return holds();
  }
  Task<bool> until_text(std::string what) {
    auto there = [this, what] { return text.find(what) != std::string::npos; };
    co_return co_await until(there);
  }
  Task<bool> until_end() {
    auto there = [this] { return ended; };
    co_return co_await until(there);
  }
  Task<bool> until_exit() {
    auto there = [this] { return code.has_value(); };
    co_return co_await until(there);
  }
};

inline Task<std::unique_ptr<Viewer>> open_and_view(Terminals terminals, std::string* id = nullptr) {
  auto opened = co_await terminals.open("here", 80, 24);
  EXPECT_TRUE(opened) << (opened ? "" : opened.error().text());
  if (!opened) co_return nullptr;
  if (id) *id = *opened;
  auto view = co_await terminals.attach(*opened, 0);
  EXPECT_TRUE(view) << (view ? "" : view.error().text());
  if (!view) co_return nullptr;
  auto viewer = std::make_unique<Viewer>(std::move(*view));
  EXPECT_TRUE(co_await viewer->until_text("$ "));  // what is typed before is echoed in another place
  co_return viewer;
}

}  // namespace lab::terminal
