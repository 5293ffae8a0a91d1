#include "join/ssh/fleet.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "join/ssh/board.h"

namespace lab::join::ssh {

namespace {

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(width > text.size() ? width - text.size() : 0, ' ');
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", seconds);
  return text;
}

// Which host of this run goes by which node name.
class Names {
 public:
  Result<void> take(const std::string& node, const std::string& host) {
    std::lock_guard lock(mutex_);
    auto [it, fresh] = taken_.try_emplace(node, host);
    if (fresh || it->second == host) return {};
    return fail(
        Code::kAlreadyExists, "the node name \"" + node + "\" is taken: " + it->second + " goes by it, too",
        "give it another host name (there: hostnamectl set-hostname NAME), or join it alone with --node-name NAME");
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> taken_;
};

}  // namespace

std::vector<HostResult> join_fleet(const std::vector<Target>& targets, JoinPlan plan, int parallel) {
  std::vector<std::string> names;
  for (const auto& t : targets) names.push_back(t.text());
  Board board(names);
  Names nodes;
  std::mutex person_mutex;
  if (plan.person.confirm)
    plan.person.confirm = [&, ask = plan.person.confirm](const std::string& question) {
      std::lock_guard lock(person_mutex);
      return board.aside([&] { return ask(question); });
    };
  if (plan.person.secret)
    plan.person.secret = [&, ask = plan.person.secret](const std::string& prompt) {
      std::lock_guard lock(person_mutex);
      return board.aside([&] { return ask(prompt); });
    };

  std::vector<HostResult> results(targets.size());
  std::atomic<std::size_t> next{0};
  auto work = [&] {
    for (std::size_t i = next++; i < targets.size(); i = next++) {
      JoinPlan own = plan;
      own.admit = [&, i](const std::string& node, const HostFacts& facts) -> Result<void> {
        LAB_CHECK(nodes.take(node, names[i]));
        return plan.admit ? plan.admit(node, facts) : Result<void>();
      };
      results[i] = join_host(targets[i], own, [&](const std::string& state) { board.set(i, state); });
      const auto& r = results[i];
      board.set(i, r.joined ? "Joined as node " + r.node + " in " + seconds_text(r.seconds) + " s"
                            : "FAILED at " + r.step + ": " + first_line(r.reason));
    }
  };
  std::vector<std::jthread> threads;
  const auto count = std::min<std::size_t>(static_cast<std::size_t>(std::max(parallel, 1)), targets.size());
  for (std::size_t i = 0; i < count; ++i) threads.emplace_back(work);
  for (auto& t : threads) t.join();
  return results;
}

std::string fleet_table(const std::vector<HostResult>& results, double seconds) {
  std::size_t host = 4, node = 4, joined = 0;
  for (const auto& r : results) {
    host = std::max(host, r.host.size());
    node = std::max(node, r.node.size());
    joined += r.joined;
  }
  std::string out = "\n" + padded("HOST", host) + "  " + padded("NODE", node) + "  RESULT  SECONDS  REASON\n";
  for (const auto& r : results) {
    out += padded(r.host, host) + "  " + padded(r.node.empty() ? "-" : r.node, node) + "  " +
           padded(r.joined ? "joined" : "failed", 6) + "  " + padded(seconds_text(r.seconds), 7) + "  ";
    std::string notes = r.joined ? (r.copied ? "" : "had the program already") : r.step + ": " + first_line(r.reason);
    if (r.reconnects)
      notes += (notes.empty() ? "" : "; ") + std::string("connected again ") + std::to_string(r.reconnects) + "x";
    out += notes;
    while (out.ends_with(' ')) out.pop_back();
    out += "\n";
  }
  for (const auto& r : results)
    if (!r.joined) {
      out += "\nerror: " + r.host + ": " + r.step + ": " + r.reason + "\n";
      if (!r.fix.empty()) out += "  what to do: " + r.fix + "\n";
    }
  return out + "\n" + std::to_string(joined) + " of " + std::to_string(results.size()) + " hosts joined in " +
         seconds_text(seconds) + " s.\n";
}

}  // namespace lab::join::ssh
