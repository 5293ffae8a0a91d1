// The only place that knows CLI11.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>

#include "cli/command.h"

namespace lab::cli {

namespace {

const Invocation::Given* find(const std::vector<Invocation::Given>& options, std::string_view name) {
  for (const auto& o : options)
    if (o.name == name) return &o;
  return nullptr;
}

std::vector<std::string> words_of(const std::string& path) {
  std::vector<std::string> words;
  std::size_t start = 0;
  while (start < path.size()) {
    auto end = path.find(' ', start);
    if (end == std::string::npos) end = path.size();
    words.push_back(path.substr(start, end - start));
    start = end + 1;
  }
  return words;
}

// What CLI11 fills for one command; the deque of these keeps addresses stable.
struct Slot {
  const Command* command = nullptr;
  CLI::App* app = nullptr;
  std::deque<std::vector<std::string>> values;
  std::deque<bool> switches;
  std::vector<std::string> arguments;
};

std::string option_names(const Option& o) { return (o.letter.empty() ? "" : "-" + o.letter + ",") + "--" + o.name; }

// CLI11's form of a check: what is wrong, or nothing.
std::string number_check(const std::string& text) {
  const bool ok = !text.empty() && text.find_first_not_of("0123456789.") == std::string::npos &&
                  std::count(text.begin(), text.end(), '.') <= 1 && text != ".";
  return ok ? "" : "\"" + text + "\" is no number";
}

void add_options(Slot& slot) {
  for (const auto& o : slot.command->options) {
    auto& values = slot.values.emplace_back();
    auto& present = slot.switches.emplace_back(false);
    if (o.value.empty()) {
      slot.app->add_flag(option_names(o), present, o.help);
      continue;
    }
    auto* added = slot.app->add_option(option_names(o), values, o.help + (o.fallback.empty() ? "" : " [" + o.fallback + "]"));
    added->type_name(o.value);
    if (o.repeated)
      added->delimiter(',')->expected(1)->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    else
      added->expected(1)->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    if (!o.choices.empty()) added->check(CLI::IsMember(o.choices));
    // What is read as a number must be one: a word would count as 0.
    if (o.value == "N" || o.value == "PORT" || o.value == "SECONDS") added->check(number_check, "");
  }
}

void add_arguments(Slot& slot) {
  if (slot.command->arguments.empty()) return;
  std::string names, help;
  int least = 0, most = 0;
  for (const auto& a : slot.command->arguments) {
    names += (names.empty() ? "" : " ") + a.name + (a.repeated ? "..." : "");
    help += (help.empty() ? "" : "; ") + a.help;
    least += a.required;
    most = a.repeated ? 1 << 20 : most + 1;
  }
  auto* added = slot.app->add_option("ARGUMENTS", slot.arguments, help);
  added->expected(std::max(least, 0), most)->type_name(names)->option_text(names);
  if (least > 0) added->required();
}

Invocation invocation_of(Slot& slot) {
  Invocation out;
  for (std::size_t i = 0; i < slot.command->options.size(); ++i) {
    const auto& o = slot.command->options[i];
    Invocation::Given given{.name = o.name};
    given.present = o.value.empty() ? slot.switches[i] : !slot.values[i].empty();
    given.values = slot.values[i];
    if (given.values.empty() && !o.fallback.empty()) given.values = {o.fallback};
    out.options_.push_back(std::move(given));
  }
  out.arguments_ = slot.arguments;
  return out;
}

}  // namespace

bool Invocation::has(std::string_view option) const {
  const auto* o = find(options_, option);
  return o && o->present;
}
std::string Invocation::get(std::string_view option) const {
  const auto* o = find(options_, option);
  return o && !o->values.empty() ? o->values.back() : std::string();
}
std::int64_t Invocation::number(std::string_view option) const { return std::atoll(get(option).c_str()); }
std::vector<std::string> Invocation::all(std::string_view option) const {
  const auto* o = find(options_, option);
  return o ? o->values : std::vector<std::string>();
}
std::string Invocation::argument(std::size_t index, std::string fallback) const {
  return index < arguments_.size() ? arguments_[index] : std::move(fallback);
}

int run_command_line(const std::string& program, const std::vector<std::string>& args) {
  // What belongs to another program is handed on untouched: its flags, and any "--" in it.
  for (const auto& command : commands())
    if (command.passes_rest && !args.empty() && args[0] == command.path) {
      Invocation whole;
      whole.arguments_.assign(args.begin() + 1, args.end());
      return command.run(whole);
    }
  CLI::App app("A Kubernetes lab on one machine or many: init, join, start.", program);
  app.require_subcommand(1);
  app.get_formatter()->column_width(44);
  std::deque<Slot> slots;
  std::map<std::string, CLI::App*> apps{{"", &app}};
  for (const auto& command : commands()) {
    auto words = words_of(command.path);
    std::string parent;
    for (std::size_t i = 0; i + 1 < words.size(); ++i) parent += (i ? " " : "") + words[i];
    auto& slot = slots.emplace_back();
    slot.command = &command;
    slot.app = apps.at(parent)->add_subcommand(words.back(), command.summary);
    slot.app->footer(command.details);
    apps[command.path] = slot.app;
    if (command.hidden) slot.app->group("");
    if (!command.run) slot.app->require_subcommand(1);
    add_options(slot);
    add_arguments(slot);
  }

  std::vector<std::string> reversed(args.rbegin(), args.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& e) {
    int code = app.exit(e);
    return code == 0 ? kDone : kUsage;
  }
  // The deepest command that was named is the one to run.
  Slot* chosen = nullptr;
  for (auto& slot : slots)
    if (slot.app->parsed() && slot.command->run) chosen = &slot;
  if (!chosen) {
    std::fputs(app.help().c_str(), stderr);
    return kUsage;
  }
  return chosen->command->run(invocation_of(*chosen));
}

}  // namespace lab::cli
