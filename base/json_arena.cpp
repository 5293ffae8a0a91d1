#include "base/json_arena.h"

#include <array>
#include <optional>

namespace lab::json {

namespace bj = boost::json;

namespace {

constexpr std::size_t kBytes = 48u << 10;

bj::parse_options options() {
  bj::parse_options out;
  out.max_depth = kMaxDepth;
  return out;
}

}  // namespace

struct Arena::State {
  // The parser's own stack and the values lie apart: the stack is needed as long as the arena.
  std::array<unsigned char, 16u << 10> scratch;
  std::array<unsigned char, kBytes> bytes;
  bj::monotonic_resource memory{bytes.data(), bytes.size()};
  bj::parser parser{{}, options(), scratch.data(), scratch.size()};
  std::optional<Value> value;  // in `memory`
};

Arena::Arena() : state_(std::make_unique<State>()) {}
Arena::~Arena() = default;

const Value& Arena::parse(std::string_view text) {
  state_->value.reset();
  state_->memory.release();
  state_->parser.reset(&state_->memory);
  boost::system::error_code error;
  state_->parser.write(text.data(), text.size(), error);
  if (error) return null_value();
  return state_->value.emplace(state_->parser.release());
}

}  // namespace lab::json
