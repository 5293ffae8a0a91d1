#include "orchestrator/agent/logs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/fs.h"
#include "orchestrator/api/time.h"

namespace lab::agent {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kChunk = 64 * 1024;

struct File {
  int fd = -1;
  ino_t inode = 0;
  explicit File(const std::string& path) : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat st{};
    if (fd >= 0 && ::fstat(fd, &st) == 0) inode = st.st_ino;
  }
  ~File() {
    if (fd >= 0) ::close(fd);
  }
  File(const File&) = delete;
  std::int64_t size() const {
    struct stat st{};
    return ::fstat(fd, &st) == 0 ? st.st_size : 0;
  }
};

// Offset at which the last `lines` lines begin.
std::int64_t tail_offset(const File& f, std::int64_t lines) {
  std::int64_t end = f.size(), at = end, seen = 0;
  if (lines <= 0) return end;
  std::string block;
  while (at > 0) {
    std::int64_t n = std::min<std::int64_t>(at, kChunk);
    at -= n;
    block.resize(static_cast<std::size_t>(n));
    if (::pread(f.fd, block.data(), block.size(), at) != n) return 0;
    for (std::int64_t i = n - 1; i >= 0; --i) {
      if (block[static_cast<std::size_t>(i)] != '\n' || at + i == end - 1)
        continue;  // the file's last newline ends a line
      if (++seen == lines) return at + i + 1;
    }
  }
  return 0;
}

// Turns the runtime's lines into what the client asked for.
class Formatter {
 public:
  explicit Formatter(LogOptions options) : options_(std::move(options)) {}

  std::string feed(std::string_view bytes) {
    std::string out;
    rest_.append(bytes);
    std::size_t begin = 0;
    for (std::size_t nl; (nl = rest_.find('\n', begin)) != std::string::npos; begin = nl + 1)
      line(std::string_view(rest_).substr(begin, nl - begin), out);
    rest_.erase(0, begin);
    if (options_.limit_bytes) {
      auto left = static_cast<std::size_t>(std::max<std::int64_t>(*options_.limit_bytes - sent_, 0));
      if (out.size() >= left) {
        out.resize(left);
        full_ = true;
      }
    }
    sent_ += static_cast<std::int64_t>(out.size());
    return out;
  }
  bool full() const { return full_; }

 private:
  void line(std::string_view text, std::string& out) {
    auto l = parse_log_line(text);
    if (!l) return;
    if (options_.stream == "Stdout" && l->stream != "stdout") return;
    if (options_.stream == "Stderr" && l->stream != "stderr") return;
    if (options_.since) {
      auto t = api::parse_time(l->timestamp);
      if (t && *t < *options_.since) return;
    }
    // A partial line and its rest are one line, with one timestamp.
    if (options_.timestamps && !in_partial_) {
      out.append(l->timestamp);
      out += ' ';
    }
    out.append(l->text);
    in_partial_ = l->partial;
    if (!l->partial) out += '\n';
  }

  LogOptions options_;
  std::string rest_;
  std::int64_t sent_ = 0;
  bool in_partial_ = false, full_ = false;
};

}  // namespace

std::optional<LogLine> parse_log_line(std::string_view line) {
  LogLine out;
  auto take = [&](std::string_view& into) {
    auto space = line.find(' ');
    if (space == line.npos) return false;
    into = line.substr(0, space);
    line.remove_prefix(space + 1);
    return true;
  };
  std::string_view tags;
  if (!take(out.timestamp) || !take(out.stream)) return std::nullopt;
  if (!take(tags)) {
    tags = line;
    line = {};
  }
  if (out.stream != "stdout" && out.stream != "stderr") return std::nullopt;
  out.partial = tags.starts_with("P");
  out.text = line;
  return out;
}

std::string tail_for_message(const std::string& path) {
  constexpr std::size_t kMax = 2048;
  File f(path);
  if (f.fd < 0) return "";
  std::int64_t from = tail_offset(f, 80);
  std::string bytes(static_cast<std::size_t>(std::min<std::int64_t>(f.size() - from, 1 << 20)), '\0');
  auto n = ::pread(f.fd, bytes.data(), bytes.size(), f.size() - static_cast<std::int64_t>(bytes.size()));
  bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  Formatter format({});
  std::string text = format.feed(bytes);
  if (text.size() > kMax) text = text.substr(text.size() - kMax);
  return text;
}

Task<Result<void>> stream_log(std::string path, LogOptions options, Pool& pool,
                              std::function<Task<Result<bool>>()> running,
                              std::function<Task<Result<void>>(std::string)> send, std::stop_token stop) {
  struct Opened {
    std::shared_ptr<File> file;
    std::int64_t offset = 0;
  };
  auto open = [path](std::optional<std::int64_t> tail) -> Result<Opened> {
    auto f = std::make_shared<File>(path);
    if (f->fd < 0) return fail_errno("open the log " + path);
    return Opened{f, tail ? tail_offset(*f, *tail) : 0};
  };
  LAB_CO_TRY(auto now, co_await pool.run([open, tail = options.tail_lines] { return open(tail); }));
  Formatter format(options);
  Duration pause = 20ms;
  bool last_round = false;
  while (!stop.stop_requested()) {
    auto bytes = co_await pool.run([now] {
      std::string chunk(kChunk, '\0');
      auto n = ::pread(now.file->fd, chunk.data(), chunk.size(), now.offset);
      chunk.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
      return chunk;
    });
    if (!bytes.empty()) {
      now.offset += static_cast<std::int64_t>(bytes.size());
      if (auto out = format.feed(bytes); !out.empty()) LAB_CO_CHECK(co_await send(std::move(out)));
      if (format.full()) break;
      pause = 20ms;
      last_round = false;
      continue;
    }
    if (!options.follow) break;
    // At the end: the file may have been rotated, or the container may have ended.
    auto fresh = co_await pool.run([open] { return open(std::nullopt); });
    if (fresh && fresh->file->inode != now.file->inode) {
      now = std::move(*fresh);
      continue;
    }
    if (last_round) break;
    auto alive = co_await running();
    if (!alive) co_return std::unexpected(std::move(alive).error());
    if (!*alive) {
      last_round = true;  // it may have written since the last read
      continue;
    }
    co_await sleep_for(pause, stop);
    pause = std::min<Duration>(pause * 2, 200ms);
  }
  co_return Result<void>{};
}

Result<void> rotate_log(const std::string& path, int max_files) {
  std::string dir = path.substr(0, path.rfind('/')), base = path.substr(path.rfind('/') + 1);
  LAB_TRY(auto names, fs::list_dir(dir));
  std::vector<std::string> old;
  for (const auto& n : names)
    if (n.starts_with(base + ".")) old.push_back(n);  // sorted: the names carry the time
  for (std::size_t i = 0; i + static_cast<std::size_t>(std::max(max_files - 2, 0)) < old.size(); ++i)
    LAB_CHECK(fs::remove_file(dir + "/" + old[i]));
  auto stamp = api::format_micro_time(std::chrono::system_clock::now());
  std::erase_if(stamp, [](char c) { return c == ':' || c == '-' || c == '.'; });
  if (::rename(path.c_str(), (path + "." + stamp).c_str()) != 0) return fail_errno("rotate " + path);
  return {};
}

}  // namespace lab::agent
