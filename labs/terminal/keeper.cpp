#include "labs/terminal/keeper.h"

#include <algorithm>

#include "base/crypto/digest.h"
#include "labs/terminal/connection.h"

namespace lab::terminal {

namespace {

constexpr std::size_t kConnections = 64;
constexpr auto kNoDescriptors = std::chrono::milliseconds(200);
constexpr auto kShellsEnd = std::chrono::seconds(3);  // longer than a terminal waits between SIGHUP and SIGKILL

std::string new_id() {
  std::string out;
  for (unsigned char c : crypto::random_bytes(6))
    for (int nibble : {c >> 4, c & 15}) out += "0123456789abcdef"[nibble];
  return out;
}

}  // namespace

Keeper::Keeper(std::unique_ptr<Listener> listener, KeeperOptions options)
    : listener_(std::move(listener)), options_(std::move(options)) {}
Keeper::~Keeper() = default;

Task<void> Keeper::run(std::stop_token stop) {
  Loop& loop = *Loop::current();
  scope_ = std::make_unique<Scope>(loop);
  Scope accepting(loop);
  accepting.spawn("terminals accept", accept_all());
  {
    std::stop_callback on_stop(stop, [this, &loop] { loop.post([this] { end(); }); });
    co_await look_after();
  }
  {
    auto exclusive = options_.exclusive();
    listener_->close();
    co_await accepting.close();
    listener_.reset();
  }
  auto ending = std::exchange(terminals_, {});
  for (auto& terminal : ending) terminal->hang_up();
  const auto until = loop.now() + kShellsEnd;
  auto lives = [](const auto& terminal) { return !terminal->exited(); };
  while (std::any_of(ending.begin(), ending.end(), lives) && loop.now() < until)
    co_await changed_.wait_for(until - loop.now());
  for (auto* connection : connections_) connection->close();
  co_await scope_->close();
}

Task<void> Keeper::accept_all() {
  while (true) {
    auto fd = co_await listener_->accept();
    if (fd) {
      if (connections_.size() < kConnections) scope_->spawn("terminals client", serve(std::move(*fd)));
    } else if (fd.error().code == Code::kUnavailable) {
      if (!co_await sleep_for(kNoDescriptors, scope_->token())) co_return;
    } else {
      co_return;
    }
  }
}

Task<void> Keeper::serve(OwnedFd fd) {
  Connection connection(*this, accept_plain(fd.release()).stream);
  auto place = connections_.insert(connections_.end(), &connection);
  co_await connection.run();
  connections_.erase(place);
}

Task<void> Keeper::look_after() {
  Loop& loop = *Loop::current();
  auto last_busy = loop.now();
  while (!ending_) {
    co_await end_.wait_for(options_.look);
    if (busy()) last_busy = loop.now();
    if (!options_.lab_exists() || loop.now() - last_busy >= options_.idle) ending_ = true;
  }
}

bool Keeper::busy() const {
  return opening_ > 0 ||
         std::any_of(terminals_.begin(), terminals_.end(), [](const auto& t) { return !t->exited(); }) ||
         std::any_of(connections_.begin(), connections_.end(), [](const auto* c) { return !c->only_watches(); });
}

void Keeper::end() {
  ending_ = true;
  end_.notify();
}

void Keeper::changed() {
  changed_.notify();
}

// Where there are as many as there may be, the oldest whose shell has ended makes room.
Result<void> Keeper::make_room() {
  if (terminals_.size() + static_cast<std::size_t>(opening_) < kMaxTerminals) return {};
  auto ended = std::find_if(terminals_.begin(), terminals_.end(), [](const auto& t) { return t->exited(); });
  if (ended == terminals_.end())
    return fail(Code::kTooManyRequests, "there are " + std::to_string(kMaxTerminals) + " terminals already",
                "close one of them");
  close((*ended)->describe().id);
  return {};
}

// "node1", "node1 (2)": the first that is free.
std::string Keeper::title_of(const std::string& node) const {
  for (int i = 1;; ++i) {
    std::string title = i == 1 ? node : node + " (" + std::to_string(i) + ")";
    if (std::none_of(terminals_.begin(), terminals_.end(), [&](const auto& t) { return t->describe().title == title; }))
      return title;
  }
}

Task<Result<json::Value>> Keeper::open(std::string node, int cols, int rows) {
  LAB_CO_CHECK(make_room());
  ++opening_;
  auto shell = co_await options_.spawn(node, cols, rows);
  --opening_;
  if (!shell) co_return std::unexpected(std::move(shell).error());
  Terminal about{.id = new_id(), .node = node, .title = title_of(node), .cols = cols, .rows = rows};
  json::Value answer = json::Object{{"ok", true}, {"id", about.id}};
  auto terminal = std::make_shared<HeldTerminal>(std::move(about), std::move(*shell), [this] { changed(); });
  terminal->start(*scope_);
  if (ending_) terminal->hang_up();
  terminals_.push_back(std::move(terminal));
  changed();
  co_return answer;
}

std::shared_ptr<HeldTerminal> Keeper::find(const std::string& id) const {
  for (const auto& terminal : terminals_)
    if (terminal->describe().id == id) return terminal;
  return nullptr;
}

void Keeper::close(const std::string& id) {
  auto terminal = find(id);
  if (!terminal) return;
  std::erase(terminals_, terminal);
  terminal->hang_up();
  changed();
}

json::Value Keeper::list() const {
  json::Array out;
  for (const auto& terminal : terminals_) out.push_back(encode_terminal(terminal->describe()));
  return out;
}

}  // namespace lab::terminal
