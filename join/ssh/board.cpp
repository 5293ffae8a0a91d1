#include "join/ssh/board.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace lab::join::ssh {

namespace {

// "[copy] Copying: 10%" -> "[copy]"
std::string step_of(const std::string& text) {
  return text.starts_with('[') ? text.substr(0, text.find(']')) : text;
}

}  // namespace

Board::Board(std::vector<std::string> names) : names_(std::move(names)), texts_(names_.size(), "Waiting") {
  for (const auto& n : names_) width_ = std::max(width_, n.size());
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 1 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > names_.size() + 1)
    columns_ = size.ws_col;
  draw_all();
}

std::string Board::line(std::size_t index) const {
  std::string out = names_[index] + std::string(width_ - names_[index].size() + 2, ' ') + texts_[index];
  if (columns_ && out.size() >= columns_) out.resize(columns_ - 1);
  return out;
}

void Board::draw_all() {
  if (!columns_) return;
  for (std::size_t i = 0; i < names_.size(); ++i) std::printf("%s\n", line(i).c_str());
  std::fflush(stdout);
}

void Board::set(std::size_t index, const std::string& text) {
  std::lock_guard lock(mutex_);
  const bool same_step = step_of(texts_[index]) == step_of(text);
  const std::string flat = text.substr(0, text.find('\n'));
  if (texts_[index] == flat) return;
  texts_[index] = flat;
  if (columns_) {
    const auto up = names_.size() - index;
    std::printf("\x1b[%zuA\r\x1b[K%s\x1b[%zuB\r", up, line(index).c_str(), up);
  } else if (!same_step) {
    std::printf("%s\n", line(index).c_str());
  }
  std::fflush(stdout);
}

}  // namespace lab::join::ssh
