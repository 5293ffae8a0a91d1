#include "overlay-net/policy/agent.h"

#include "base/log.h"
#include "base/netlink/nflog.h"
#include "overlay-net/policy/executor.h"

namespace lab::overlay::policy {
namespace {

// How long a pod's start waits for policies to be programmed, and, from this process's start on, to be known at all.
constexpr auto kProgramLimit = std::chrono::seconds(5);
constexpr auto kKnownLimit = std::chrono::seconds(15);
constexpr auto kLogPoll = std::chrono::milliseconds(500);

}  // namespace

PolicyAgent::PolicyAgent(PolicyAgentOptions options)
    : options_(std::move(options)),
      policies_(*options_.client, client::res::networkpolicies),
      pods_(*options_.client, client::res::pods),
      namespaces_(*options_.client, client::res::namespaces),
      ruleset_(options_.node_name) {
  program_options_.bridge = options_.bridge;
}

PolicyAgent::~PolicyAgent() = default;

void PolicyAgent::news(std::set<std::string>& where, const client::ObjectPtr& old, const client::ObjectPtr& now) {
  where.insert(client::key_of(now ? *now : *old));
  fresh_ = true;
  changed_.notify();
}

void PolicyAgent::start(Scope& scope) {
  scope_ = &scope;
  started_ = scope.loop().now();
  policies_.on_change(
      [this](const client::ObjectPtr& old, const client::ObjectPtr& now) { news(new_policies_, old, now); });
  pods_.on_change([this](const client::ObjectPtr& old, const client::ObjectPtr& now) { news(new_pods_, old, now); });
  namespaces_.on_change(
      [this](const client::ObjectPtr& old, const client::ObjectPtr& now) { news(new_namespaces_, old, now); });
  pods_.set_transform(shrink_pod);
  policies_.start(scope);
  scope.spawn("network policies", keep_synced(scope.token()));
}

Task<void> PolicyAgent::pod_wired(WiredPod pod) {
  if (!scope_) co_return;
  OneShot<bool> done;
  std::string name = pod.ns + "/" + pod.name;
  scope_->loop().post([this, pod = std::move(pod), done]() mutable {
    auto& loop = scope_->loop();
    auto limit = policies_.synced() ? loop.now() + kProgramLimit : started_ + kKnownLimit;
    new_wired_.push_back(std::move(pod));
    waiting_.push_back(done);
    loop.call_at(limit, [done]() mutable { done.set(false); });
    fresh_ = true;
    changed_.notify();
  });
  if (!co_await done.wait()) log::warn("a pod starts before its network policies are in force", {{"pod", name}});
}

void PolicyAgent::pod_unwired(IpAddress address) {
  if (!scope_) return;
  scope_->loop().post([this, address] {
    new_wired_.push_back({.address = address});
    fresh_ = true;
    changed_.notify();
  });
}

void PolicyAgent::take_policy(const std::string& key) {
  auto object = policies_.get(key);
  if (!object) return ruleset_.remove_policy(key);
  auto policy = policy_from(*object);
  for (const auto& p : policy.problems) log::warn("NetworkPolicy " + key + " is not understood in part", {{"why", p}});
  ruleset_.set_policy(std::move(policy));
}

void PolicyAgent::take_news() {
  for (const auto& key : std::exchange(new_policies_, {})) take_policy(key);
  for (const auto& name : std::exchange(new_namespaces_, {})) {
    auto object = namespaces_.get(name);
    object ? ruleset_.set_namespace(name, json::map(*object, "metadata", "labels")) : ruleset_.remove_namespace(name);
  }
  for (const auto& key : std::exchange(new_pods_, {})) {
    auto object = pods_.get(key);
    object ? ruleset_.set_pod(pod_from(*object)) : ruleset_.remove_pod(key);
  }
  for (const auto& w : std::exchange(new_wired_, {})) {
    w.name.empty() ? ruleset_.unwire(w.address) : ruleset_.wire(w.ns, w.name, w.address);
  }
  policy_count_ = ruleset_.model().policy_count();
}

void PolicyAgent::watch_pods() {
  if (std::exchange(watching_, true)) return;
  namespaces_.start(*scope_);
  pods_.start(*scope_);
  read_log();
}

Task<void> PolicyAgent::keep_synced(std::stop_token stop) {
  if (!co_await policies_.wait_synced(stop)) co_return;
  Duration pause = std::chrono::milliseconds(100);
  while (!stop.stop_requested()) {
    fresh_ = false;
    auto waiting = std::exchange(waiting_, {});
    auto done = co_await sync(stop);
    if (!done) {
      // The kernel may hold something else than we think: begin anew from the whole.
      log::error("network policies are not programmed", {{"error", done.error().text()}});
      kernel_ = Kernel::kUnknown;
      waiting_.insert(waiting_.end(), waiting.begin(), waiting.end());
      pause = std::min<Duration>(pause * 2, options_.check_interval);
      co_await sleep_for(pause, stop);
      continue;
    }
    for (auto& w : waiting) w.set(true);
    pause = std::chrono::milliseconds(100);
    if (fresh_ || co_await changed_.wait_for(options_.check_interval, stop)) continue;
    if (!stop.stop_requested() && !co_await still_there()) kernel_ = Kernel::kUnknown;
  }
}

Task<bool> PolicyAgent::still_there() {
  if (kernel_ != Kernel::kProgrammed) co_return true;
  auto there = co_await pool_.run([this]() -> Result<bool> {
    LAB_CHECK(executor_->prepare());
    return executor_->table_is_there();
  });
  co_return there && *there;
}

Task<Result<void>> PolicyAgent::sync(std::stop_token stop) {
  if (!executor_) {
    LAB_CO_TRY(auto executor, co_await pool_.run([] { return Executor::open(); }));
    executor_ = std::make_unique<Executor>(std::move(executor));
  }
  take_news();
  if (policy_count_ == 0) co_return co_await unhook();
  watch_pods();
  // Half-filled lists would keep out whom policies let in.
  if (!co_await namespaces_.wait_synced(stop) || !co_await pods_.wait_synced(stop)) co_return Result<void>{};
  take_news();
  if (kernel_ != Kernel::kProgrammed) co_return co_await converge();
  auto change = ruleset_.take_change();
  isolated_ = ruleset_.isolated_pods();
  if (change.script.empty()) co_return Result<void>{};
  co_return co_await pool_.run([this, script = std::move(change.script)] { return executor_->run(script); });
}

Task<Result<void>> PolicyAgent::unhook() {
  isolated_ = 0;
  if (kernel_ == Kernel::kUnhooked) co_return Result<void>{};
  LAB_CO_TRY(auto there, co_await pool_.run([this] { return executor_->table_is_there(); }));
  if (there) LAB_CO_CHECK(co_await pool_.run([this] { return executor_->remove_table(); }));
  if (kernel_ == Kernel::kProgrammed) log::info("no network policies: nothing is filtered");
  kernel_ = Kernel::kUnhooked;
  co_return Result<void>{};
}

Task<Result<void>> PolicyAgent::converge() {
  if (options_.wired) {
    for (const auto& w : options_.wired()) ruleset_.wire(w.ns, w.name, w.address);
  }
  auto prepared = co_await pool_.run([this] { return executor_->prepare(); });
  if (!prepared && !std::exchange(prepared_, true)) log::warn(prepared.error().text());
  LAB_CO_TRY(auto kernel, co_await pool_.run([this] { return executor_->list(); }));
  auto script = ruleset_.converge_script(kernel.value_or(Program{}), program_options_);
  auto done = co_await pool_.run([this, script = std::move(script)] { return executor_->run(script); });
  if (!done && program_options_.log) {
    program_options_.log = false;
    script = ruleset_.converge_script(kernel.value_or(Program{}), program_options_);
    done = co_await pool_.run([this, script = std::move(script)] { return executor_->run(script); });
    if (done) log::warn("blocked connections are not logged: the kernel cannot hand packets to a program (nft_log)");
  }
  if (!done) {
    // Another version's table, or one that somebody changed.
    log::warn("the policy rules cannot be put right, so they are made anew", {{"error", done.error().text()}});
    std::string table(kTable);
    script =
        "add table " + table + "\ndelete table " + table + "\n" + ruleset_.converge_script(Program{}, program_options_);
    LAB_CO_CHECK(co_await pool_.run([this, script = std::move(script)] { return executor_->run(script); }));
  }
  kernel_ = Kernel::kProgrammed;
  isolated_ = ruleset_.isolated_pods();
  log::info("network policies programmed", {{"policies", policy_count_.load()}, {"isolated pods", isolated_.load()}});
  co_return Result<void>{};
}

void PolicyAgent::read_log() {
  auto reader = NflogReader::open(kLogGroup);
  if (!reader) {
    log::warn("blocked connections are not logged", {{"reason", reader.error().text()}});
    if (reader.error().code == Code::kUnavailable) program_options_.log = false;
    return;
  }
  log_reader_ = std::jthread([this, reader = std::move(*reader)](std::stop_token stop) mutable {
    while (!stop.stop_requested()) {
      auto packets = reader.next(kLogPoll);
      if (!packets) {
        log::warn("blocked connections are not logged any more", {{"reason", packets.error().text()}});
        return;
      }
      if (packets->empty()) continue;
      scope_->loop().post([this, packets = std::move(*packets)]() mutable { tell_blocked(std::move(packets)); });
    }
  });
}

void PolicyAgent::tell_blocked(std::vector<LoggedPacket> packets) {
  for (const auto& p : packets) {
    auto packet = blocked_packet(p);
    if (!packet) continue;
    for (const auto& line : blocked_.take(ruleset_.model(), *packet, scope_->loop().now())) log::warn(line);
  }
  blocked_count_ = blocked_.packets();
}

std::string PolicyAgent::metrics() const {
  auto one = [](const char* name, const char* kind, const char* help, std::uint64_t value) {
    std::string n(name);
    return "# HELP " + n + " " + help + "\n# TYPE " + n + " " + kind + "\n" + n + " " + std::to_string(value) + "\n";
  };
  return one("lab_overlay_network_policies", "gauge", "NetworkPolicies of the cluster.", policy_count_) +
         one("lab_overlay_isolated_pods", "gauge", "Pods of this node that a policy selects.", isolated_) +
         one("lab_overlay_blocked_packets_total", "counter", "Packets blocked by policies, as far as they were logged.",
             blocked_count_);
}

Result<void> PolicyAgent::clean_up() {
  return Executor::clean_up();
}

}  // namespace lab::overlay::policy
