#include "orchestrator/apiserver/usage_sample.h"

#include <charconv>
#include <cmath>

namespace lab::apiserver {
namespace {

constexpr std::int64_t kMinWindowMs = 500;

// name{a="b",c="d"} VALUE [TIMESTAMP]
struct Line {
  std::string_view name;
  std::map<std::string, std::string, std::less<>> labels;
  double value = 0;
  std::int64_t at_ms = 0;

  std::string label(std::string_view key) const {
    auto it = labels.find(key);
    return it == labels.end() ? std::string() : it->second;
  }
};

std::string_view word(std::string_view& rest) {
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  auto out = rest.substr(0, rest.find(' '));
  rest.remove_prefix(out.size());
  return out;
}

// Behind the opening brace; false when the text is cut off.
bool read_labels(std::string_view& rest, Line& line) {
  while (true) {
    while (!rest.empty() && (rest.front() == ',' || rest.front() == ' ')) rest.remove_prefix(1);
    if (rest.empty()) return false;
    if (rest.front() == '}') {
      rest.remove_prefix(1);
      return true;
    }
    auto equals = rest.find("=\"");
    if (equals == std::string_view::npos) return false;
    auto key = rest.substr(0, equals);
    rest.remove_prefix(equals + 2);
    std::string value;
    while (!rest.empty() && rest.front() != '"') {
      if (rest.front() == '\\' && rest.size() > 1) rest.remove_prefix(1);
      value += rest.front();
      rest.remove_prefix(1);
    }
    if (rest.empty()) return false;
    rest.remove_prefix(1);
    line.labels.emplace(key, std::move(value));
  }
}

std::optional<Line> parse_line(std::string_view text) {
  Line out;
  auto end = text.find_first_of("{ ");
  if (text.empty() || text.front() == '#' || end == std::string_view::npos) return std::nullopt;
  out.name = text.substr(0, end);
  text.remove_prefix(end);
  if (text.front() == '{') {
    text.remove_prefix(1);
    if (!read_labels(text, out)) return std::nullopt;
  }
  auto value = word(text);
  if (std::from_chars(value.data(), value.data() + value.size(), out.value).ec != std::errc{} ||
      !std::isfinite(out.value) || out.value < 0)
    return std::nullopt;
  auto at = word(text);
  std::from_chars(at.data(), at.data() + at.size(), out.at_ms);
  return out;
}

void set_cpu(UsagePoint& point, const Line& line) {
  point.cpu_seconds = line.value;
  point.at_ms = line.at_ms;
}

void take(UsageSample& sample, const Line& line) {
  auto container = [&]() -> UsagePoint& {
    return sample.pods[{line.label("namespace"), line.label("pod")}][line.label("container")];
  };
  if (line.name == "node_cpu_usage_seconds_total") {
    set_cpu(sample.node, line);
  } else if (line.name == "node_memory_working_set_bytes") {
    sample.node.memory = static_cast<std::uint64_t>(line.value);
  } else if (line.name == "container_cpu_usage_seconds_total") {
    set_cpu(container(), line);
  } else if (line.name == "container_memory_working_set_bytes") {
    container().memory = static_cast<std::uint64_t>(line.value);
  } else if (line.name == "container_start_time_seconds") {
    container().started_seconds = line.value;
  }
}

}  // namespace

Result<UsageSample> UsageSample::parse(std::string_view text) {
  UsageSample out;
  while (!text.empty()) {
    auto end = text.find('\n');
    if (auto line = parse_line(text.substr(0, end))) take(out, *line);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  if (out.node.at_ms == 0)
    return fail(Code::kInvalid, "the answer holds no node_cpu_usage_seconds_total with a timestamp");
  return out;
}

std::optional<Usage> usage_between(const UsagePoint* before, const UsagePoint& now) {
  UsagePoint from;
  bool begun_since =
      now.started_seconds > 0 && (!before || static_cast<double>(before->at_ms) / 1e3 < now.started_seconds);
  if (begun_since) {
    from.at_ms = static_cast<std::int64_t>(now.started_seconds * 1e3);
  } else if (before) {
    from = *before;
  } else {
    return std::nullopt;
  }
  std::int64_t window = now.at_ms - from.at_ms;
  if (window < kMinWindowMs || now.cpu_seconds < from.cpu_seconds) return std::nullopt;
  Usage out;
  out.at_ms = now.at_ms;
  out.window = std::chrono::milliseconds(window);
  out.nanocores = static_cast<std::uint64_t>((now.cpu_seconds - from.cpu_seconds) * 1e12 / static_cast<double>(window));
  out.memory = now.memory;
  return out;
}

}  // namespace lab::apiserver
