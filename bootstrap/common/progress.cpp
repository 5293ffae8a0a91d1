#include "bootstrap/common/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

namespace lab::bootstrap {

namespace {

// What is to be written over must not wrap: a carriage return goes back to the last row of a wrapped line alone.
std::string one_row(const std::string& line) {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return line;
  return line.substr(0, size.ws_col - 1);
}

}  // namespace

Progress::Progress(bool quiet) : terminal_(::isatty(STDOUT_FILENO) == 1), quiet_(quiet) {}

void Progress::step(const std::string& phase, const std::string& text) {
  done();
  if (quiet_) return;
  line_ = "[" + phase + "] " + text;
  since_ = std::chrono::steady_clock::now();
  if (terminal_)
    std::printf("%s", one_row(line_).c_str());
  else
    std::printf("%s\n", line_.c_str());
  std::fflush(stdout);
}

void Progress::state(const std::string& text) {
  if (quiet_) return;
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - since_).count();
  if (terminal_)
    std::printf("\r\x1b[K%s", one_row(line_ + " (" + std::to_string(seconds) + " s: " + text + ")").c_str());
  else
    std::printf("    %lld s: %s\n", static_cast<long long>(seconds), text.c_str());
  std::fflush(stdout);
}

void Progress::note(const std::string& text) {
  done();
  if (!quiet_) std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void Progress::warn(const std::string& text) {
  done();
  std::fprintf(stderr, "warning: %s\n", text.c_str());
}

void Progress::done() {
  if (line_.empty()) return;
  if (terminal_ && !quiet_) std::printf("\r\x1b[K%s\n", line_.c_str());
  line_.clear();
}

}  // namespace lab::bootstrap
