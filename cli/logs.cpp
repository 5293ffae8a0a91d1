// lab logs: the daemons' logs, read where the nodes keep them.
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/rooted.h"
#include "bootstrap/local/lab.h"
#include "bootstrap/supervise/unit.h"
#include "cli/groups.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(200);
constexpr std::size_t kChunk = 64 << 10;

// One log file of a node, and how much of it has been shown.
struct Source {
  std::string node, daemon, prefix;
  off_t shown = 0;
  ino_t inode = 0;
  std::string unfinished;  // a line whose end has not been written yet

  std::string path() const { return fs::join(bootstrap::kLogDirectory, daemon + ".log"); }
};

void print_line(const Source& source, std::string_view line) {
  std::fwrite(source.prefix.data(), 1, source.prefix.size(), stdout);
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

void print_lines(Source& source, std::string text) {
  text.insert(0, std::exchange(source.unfinished, {}));
  std::size_t start = 0;
  for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', start)) {
    print_line(source, std::string_view(text).substr(start, end - start));
    start = end + 1;
  }
  source.unfinished = text.substr(start);
}

// Where the last `lines` lines of a file of `size` bytes begin.
long start_of_tail(std::FILE* file, long size, std::int64_t lines) {
  std::string chunk(kChunk, '\0');
  std::int64_t seen = -1;  // the newline at the very end closes the last line
  for (long end = size; end > 0;) {
    long begin = std::max(0L, end - static_cast<long>(kChunk));
    std::fseek(file, begin, SEEK_SET);
    auto got = static_cast<long>(std::fread(chunk.data(), 1, static_cast<std::size_t>(end - begin), file));
    for (long i = got - 1; i >= 0; --i)
      if (chunk[static_cast<std::size_t>(i)] == '\n' && ++seen == lines) return begin + i + 1;
    end = begin;
  }
  return 0;
}

Result<fs::Rooted> files_of(bootstrap::NodeDriver& driver, const std::string& node) {
  LAB_TRY(auto root, driver.path_in(node, "/"));
  return fs::Rooted::open(root);
}

// What has come since the last call; `tail` counts at the first one. A file that shrank or was replaced begins anew.
Result<void> show_new(bootstrap::NodeDriver& driver, Source& source, std::int64_t tail) {
  LAB_TRY(auto files, files_of(driver, source.node));
  LAB_TRY(int fd, files.open_file(source.path()));
  std::FILE* file = ::fdopen(fd, "r");
  if (!file) return fail_errno("read " + source.path() + " of " + source.node);
  struct ::stat info{};
  ::fstat(::fileno(file), &info);
  if (source.inode == 0 && tail > 0) source.shown = start_of_tail(file, info.st_size, tail);
  if (source.inode != 0 && (source.inode != info.st_ino || info.st_size < source.shown)) source.shown = 0;
  source.inode = info.st_ino;
  std::fseek(file, source.shown, SEEK_SET);
  std::string chunk(kChunk, '\0');
  while (auto got = std::fread(chunk.data(), 1, chunk.size(), file)) {
    print_lines(source, chunk.substr(0, got));
    source.shown += static_cast<off_t>(got);
  }
  std::fclose(file);
  return {};
}

// The logs that were asked for; all of the node's where none was named.
Result<std::vector<Source>> sources_of(bootstrap::NodeDriver& driver, const std::string& node,
                                       const std::vector<std::string>& wanted) {
  LAB_TRY(auto files, files_of(driver, node));
  std::vector<std::string> there;
  if (files.is_directory(bootstrap::kLogDirectory)) {
    LAB_TRY(auto names, files.list(bootstrap::kLogDirectory));
    for (const auto& name : names)
      if (name.ends_with(".log")) there.push_back(name.substr(0, name.size() - 4));
  }
  std::string listed;
  for (const auto& name : there) listed += (listed.empty() ? "" : ", ") + name;
  std::vector<Source> out;
  for (const auto& daemon : wanted.empty() ? there : wanted) {
    if (std::ranges::find(there, daemon) == there.end())
      return fail(Code::kNotFound, "node " + node + " has no log of \"" + daemon + "\"",
                  there.empty() ? "no daemon was started there yet" : "those that it has: " + listed);
    out.push_back({.node = node, .daemon = daemon});
  }
  return out;
}

void set_prefixes(std::vector<Source>& sources, bool nodes) {
  if (sources.size() < 2) return;
  std::size_t width = 0;
  for (auto& s : sources) {
    s.prefix = (nodes ? s.node + " " : "") + s.daemon;
    width = std::max(width, s.prefix.size());
  }
  for (auto& s : sources) s.prefix += std::string(width - s.prefix.size(), ' ') + " | ";
}

Result<void> logs(const Invocation& in) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  auto nodes = in.all("node");
  if (nodes.empty() && !profile.nodes.empty()) nodes = {profile.nodes[0].name};
  std::vector<Source> sources;
  for (const auto& node : nodes) {
    LAB_TRY(auto of_node, sources_of(*driver, node, in.arguments()));
    std::ranges::move(of_node, std::back_inserter(sources));
  }
  set_prefixes(sources, nodes.size() > 1);
  for (auto& source : sources) LAB_CHECK(show_new(*driver, source, in.number("tail")));
  if (!in.flag("follow")) {
    for (auto& source : sources)
      if (!source.unfinished.empty()) print_line(source, source.unfinished);
    return {};
  }
  while (std::fflush(stdout) == 0) {  // until Ctrl-C, or the reader has gone
    std::this_thread::sleep_for(kPollInterval);
    for (auto& source : sources) (void)show_new(*driver, source, 0);  // a node that is stopped may come again
  }
  return {};
}

}  // namespace

Commands logs_commands() {
  return {{.path = "logs",
           .summary = "Show what the nodes' daemons log",
           .details =
               "As in: lab logs --node node2 lab-agent -f\nThe daemons are lab-server (on the master), lab-agent, "
               "lab-overlay and containerd.",
           .arguments = {{"DAEMON", "default: all of the node", false, true}},
           .options = {{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"},
                       {.name = "node", .value = "NODE", .help = "Which nodes; default: the master", .repeated = true},
                       {.name = "tail", .value = "N", .help = "How many lines of each log; 0: all", .fallback = "60"},
                       {.name = "follow", .help = "Go on with what is written from now on", .letter = "f"}},
           .run = [](const Invocation& in) { return finish(logs(in)); }}};
}

}  // namespace lab::cli
