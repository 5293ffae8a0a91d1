#include "labs/exercises/evaluator.h"

#include <algorithm>
#include <charconv>
#include <regex>
#include <set>

#include "base/http/client.h"
#include "base/io/address.h"
#include "base/io/descriptor.h"
#include "base/io/scope.h"
#include "bootstrap/local/lab.h"
#include "bootstrap/node/network_namespace.h"
#include "orchestrator/api/json_path.h"
#include "orchestrator/api/kind.h"

namespace lab::exercises {

namespace {

constexpr int kCommandLimit = 10;                  // seconds
constexpr std::size_t kLongestMatched = 4096;      // characters that a pattern is tried on at a time
constexpr std::size_t kLongestPage = 1024 * 1024;  // bytes of an answer
constexpr auto kPageLimit = std::chrono::seconds(8);

std::string as_text(const json::Value& v) {
  return v.is_string() ? std::string(json::as_str(v)) : v.is_null() ? "" : json::dump(v);
}

std::optional<double> as_number(const json::Value& v) {
  if (v.is_double()) return v.get_double();
  if (v.is_number()) return static_cast<double>(json::as_int(v));
  const auto text = json::as_str(v);
  double out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

// What a student's program says may be of any length, and std::regex takes stack for every character: a long text is
// looked at line by line, and of a line its beginning.
bool found(const std::string& text, const std::string& pattern) {
  if (pattern.empty()) return true;
  const std::regex wanted(pattern);
  if (text.size() <= kLongestMatched) return std::regex_search(text, wanted);
  for (std::size_t from = 0; from < text.size();) {
    const auto end = std::min(text.find('\n', from), text.size());
    const auto begin = text.begin() + static_cast<std::ptrdiff_t>(from);
    if (std::regex_search(begin, begin + static_cast<std::ptrdiff_t>(std::min(end - from, kLongestMatched)), wanted))
      return true;
    from = end + 1;
  }
  return false;
}

bool holds(const json::Value& object, const Where& w) {
  const auto& v = api::at_path(object, w.path);
  if (w.exists && *w.exists == v.is_null()) return false;
  if (w.is && as_text(v) != *w.is) return false;
  if (w.matches && (v.is_null() || !found(as_text(v), *w.matches))) return false;
  // An absent count is 0: controllers leave out what is zero.
  const auto number = v.is_null() ? std::optional<double>(0) : as_number(v);
  if (w.at_least && (!number || *number < *w.at_least)) return false;
  if (w.at_most && (!number || *number > *w.at_most)) return false;
  return true;
}

struct Page {
  int status = 0;
  std::string text;  // its beginning
};

// The server is a student's own: it may answer without end, in time or in bytes.
Task<Result<Page>> fetch(http::Url url) {
  auto client = http::Client::make({.host = url.host, .port = url.port},
                                   {.connect_timeout = std::chrono::seconds(3), .request_timeout = kPageLimit});
  http::Request request;
  request.method = "GET";
  request.target = url.path.empty() ? "/" : url.path;
  LAB_CO_TRY(auto answer, co_await client->open(std::move(request)));
  Page out{.status = answer->status(), .text = {}};
  Deadline deadline(kPageLimit, [&] { answer->close(); });
  while (out.text.size() < kLongestPage) {
    auto piece = co_await answer->read();
    if (!piece && out.text.empty()) co_return std::unexpected(std::move(piece).error());
    if (!piece || piece->empty()) break;
    out.text += *piece;
  }
  co_return out;
}

std::string first_line(const std::string& text) {
  return text.substr(0, std::min(text.find('\n'), std::size_t{160}));
}

}  // namespace

bool satisfies(const json::Value& object, const std::vector<Where>& where) {
  return std::ranges::all_of(where, [&](const Where& w) { return holds(object, w); });
}

Result<Evaluator> Evaluator::open(const std::string& profile) {
  Evaluator out;
  LAB_TRY(out.profile_, bootstrap::load_profile(profile));
  LAB_TRY(out.driver_, bootstrap::make_driver(out.profile_));
  return out;
}

// A reset of the first node makes another cluster: the credentials are looked at each time.
Result<bootstrap::Cluster*> Evaluator::cluster() {
  LAB_TRY(auto text, bootstrap::admin_kubeconfig(profile_, *driver_));
  if (!cluster_ || text != kubeconfig_) {
    LAB_TRY(auto config, client::parse_kubeconfig(text));
    LAB_TRY(auto there, bootstrap::InNetwork::enter(profile_.network));  // where the client's thread begins
    cluster_ = bootstrap::Cluster::connect(std::move(config));
    kubeconfig_ = std::move(text);
  }
  return cluster_.get();
}

Verdict Evaluator::evaluate(const Check& check) {
  try {
    if (check.object) return objects(*check.object);
    if (check.http) return http(*check.http);
    if (check.command) return command(*check.command);
  } catch (const std::exception& e) {  // of a pattern or a path that only this object shows to be wrong
    return {.seen = {Saw::kBroken, {e.what()}}};
  }
  return {};
}

Verdict Evaluator::objects(const ObjectCheck& check) {
  auto kind = api::find_kind_by_name(check.api_version, check.kind);
  if (!kind) return {.seen = {Saw::kNotServed, {check.kind}}};
  auto api = cluster();
  if (!api) return {.seen = {Saw::kNoCluster, {}}};
  const client::Resource resource{kind->group, kind->version, kind->plural, kind->kind, kind->namespaced};
  client::ListOptions options;
  options.label_selector = check.selector;
  if (!check.name.empty()) options.field_selector = "metadata.name=" + check.name;
  const std::string ns = !kind->namespaced || check.name_space == "*" ? "" : check.name_space;
  auto list = (*api)->list(resource, ns, options);
  if (!list) return {.seen = no_objects(list.error())};
  std::int64_t fitting = 0;
  std::set<std::string> places;
  const auto& items = json::list(*list, "items");
  for (const auto& item : items) {
    // What is being deleted is neither there nor gone.
    const bool counts = check.exactly || !json::has(item, "metadata", "deletionTimestamp");
    if (!counts || !satisfies(item, check.where)) continue;
    ++fitting;
    if (!check.spread_path.empty()) places.insert(as_text(api::at_path(item, check.spread_path)));
  }
  places.erase("");
  const auto different = static_cast<std::int64_t>(places.size());
  const bool many_enough = check.exactly ? fitting == *check.exactly : fitting >= check.at_least;
  Seen seen{Saw::kCount,
            {std::to_string(fitting), std::to_string(check.exactly.value_or(check.at_least)),
             std::to_string(items.size()), std::string(kind->plural)}};
  if (check.spread > 0) {
    seen.what = Saw::kCountInPlaces;
    for (const auto n : {different, check.spread}) seen.with.push_back(std::to_string(n));
  }
  return {.passed = many_enough && different >= check.spread, .seen = seen};
}

Verdict Evaluator::http(const HttpCheck& check) {
  std::string url = check.url;
  for (auto n = profile_.nodes.rbegin(); n != profile_.nodes.rend(); ++n)  // node10 before node1
    for (auto at = url.find("$" + n->name); at != std::string::npos; at = url.find("$" + n->name))
      url.replace(at, n->name.size() + 1, n->address);
  auto parts = http::parse_url(url);
  if (!parts) return {.seen = no_answer(parts.error(), url)};
  auto there = bootstrap::InNetwork::enter(profile_.network);
  const std::string where = host_port(parts->host, parts->port);
  if (!there) return {.seen = no_answer(there.error(), where)};
  auto answer = run_task(fetch(*parts));
  if (!answer) return {.seen = no_answer(answer.error(), where)};
  if (answer->status != check.status) return {.seen = {Saw::kStatus, {std::to_string(answer->status)}}};
  const auto line = first_line(answer->text);
  return {.passed = found(answer->text, check.matches),
          .seen = line.empty() ? Seen{Saw::kEmptyPage, {}} : Seen{Saw::kPage, {line}}};
}

Verdict Evaluator::command(const CommandCheck& check) {
  auto done = run({.node = check.node, .run = check.run}, {}, kCommandLimit);
  if (!done) return {.seen = no_command(done.error(), check.node, kCommandLimit)};
  const std::string said = done->out + done->err;
  return {.passed = done->exit_code == check.exit_code && found(said, check.matches),
          .seen = {Saw::kExitCode, {std::to_string(done->exit_code), first_line(said)}}};
}

Result<bootstrap::ExecResult> Evaluator::run(const Script& script, std::map<std::string, std::string> env,
                                             int timeout_seconds) {
  env["HOME"] = "/root";
  return driver_->exec(
      script.node,
      {.argv = {"bash", "-lc", "cd; " + script.run}, .env = std::move(env), .timeout_seconds = timeout_seconds});
}

}  // namespace lab::exercises
