#include "bootstrap/supervise/unit.h"

#include <algorithm>

#include "base/fs.h"
#include "base/json.h"

namespace lab::bootstrap {

std::string unit_text(const Unit& unit) {
  json::Array argv, after;
  for (const auto& a : unit.argv) argv.emplace_back(a);
  for (const auto& a : unit.after) after.emplace_back(a);
  json::Object env;
  for (const auto& [k, v] : unit.env) env[k] = v;
  json::Value text = json::Object{
      {"name", unit.name}, {"description", unit.description}, {"argv", argv}, {"env", env}, {"after", after}};
  return json::dump_pretty(text, 2) + "\n";
}

Result<void> write_unit(const Unit& unit, const std::string& directory) {
  LAB_CHECK(fs::make_dirs(directory));
  return fs::write_file(fs::join(directory, unit.name + ".json"), unit_text(unit), 0600);
}

Result<Unit> read_unit(const std::string& path) {
  LAB_TRY(auto text, fs::read_file(path));
  auto value = json::parse(text);
  if (!value) return std::unexpected(std::move(value).error().with_context("read unit " + path));
  Unit unit;
  unit.name = json::str(*value, "name");
  unit.description = json::str(*value, "description");
  for (const auto& a : json::list(*value, "argv")) unit.argv.emplace_back(json::as_str(a));
  for (const auto& a : json::list(*value, "after")) unit.after.emplace_back(json::as_str(a));
  for (const auto& [k, v] : json::map(*value, "env")) unit.env[std::string(k)] = json::as_str(v);
  if (unit.name.empty() || unit.argv.empty())
    return fail(Code::kInvalid, "unit " + path + " names no program", "remove the file, or run init or join again");
  return unit;
}

Result<std::vector<Unit>> read_units(const std::string& directory) {
  std::vector<Unit> waiting, ordered;
  if (!fs::exists(directory)) return ordered;
  LAB_TRY(auto names, fs::list_dir(directory));
  for (const auto& name : names) {
    if (!name.ends_with(".json")) continue;
    LAB_TRY(auto unit, read_unit(fs::join(directory, name)));
    waiting.push_back(std::move(unit));
  }
  auto pending = [&](const std::string& name) {
    return std::any_of(waiting.begin(), waiting.end(), [&](const Unit& u) { return u.name == name; });
  };
  while (!waiting.empty()) {
    auto ready = std::find_if(waiting.begin(), waiting.end(),
                              [&](const Unit& u) { return std::none_of(u.after.begin(), u.after.end(), pending); });
    if (ready == waiting.end()) ready = waiting.begin();  // a cycle: any order serves, since restarts are retried
    ordered.push_back(std::move(*ready));
    waiting.erase(ready);
  }
  return ordered;
}

std::string systemd_text(const Unit& unit) {
  // systemd.syntax(7), systemd.service(5): "%" is doubled everywhere, "$" on command lines alone.
  auto quoted = [](const std::string& arg, std::string_view doubled) {
    std::string out = "\"";
    for (char c : arg) {
      if (c == '"' || c == '\\') out += '\\';
      if (doubled.find(c) != std::string_view::npos) out += c;
      out += c;
    }
    return out + "\"";
  };
  std::string text =
      "[Unit]\nDescription=" + unit.description + "\nWants=network-online.target\nAfter=network-online.target";
  for (const auto& a : unit.after) text += " " + a + ".service";
  text += "\nStartLimitIntervalSec=0\n\n[Service]\nExecStart=";
  for (std::size_t i = 0; i < unit.argv.size(); ++i) text += (i ? " " : "") + quoted(unit.argv[i], "%$");
  text += "\n";
  for (const auto& [k, v] : unit.env) text += "Environment=" + quoted(k + "=" + v, "%") + "\n";
  // Containers outlive the daemon that watches them, and the daemon manages cgroups of its own.
  text +=
      "Restart=always\nRestartSec=1\nKillMode=process\nDelegate=yes\nLimitNOFILE=1048576\n"
      "TasksMax=infinity\n\n[Install]\nWantedBy=multi-user.target\n";
  return text;
}

}  // namespace lab::bootstrap
