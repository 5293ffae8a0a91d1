#include "base/fs.h"
#include "base/json.h"
#include "bootstrap/upgrade/upgrade.h"

namespace lab::bootstrap::upgrade {

namespace {

json::Object object(const Program& p) {
  return {{"path", p.path}, {"version", p.version}, {"digest", p.digest}, {"dataFormat", p.data_format}};
}

Program program(const json::Value& v) {
  return {.path = std::string(json::str(v, "path")),
          .version = std::string(json::str(v, "version")),
          .digest = std::string(json::str(v, "digest")),
          .data_format = static_cast<int>(json::num(v, "dataFormat"))};
}

}  // namespace

Result<std::optional<Journal>> read_journal(const std::string& path) {
  auto text = fs::read_file(path);
  if (!text && text.error().code == Code::kNotFound) return std::nullopt;
  if (!text) return std::unexpected(std::move(text).error());
  auto v = json::parse(*text);
  if (!v) return std::unexpected(std::move(v).error().with_context("read " + path));
  return Journal{.installed = std::string(json::str(*v, "installed")),
                 .from = program(json::at(*v, "from")),
                 .to = program(json::at(*v, "to")),
                 .data_format = static_cast<int>(json::num(*v, "dataFormat")),
                 .begun = json::flag(*v, "begun"),
                 .store_copied = json::flag(*v, "storeCopied"),
                 .going_back = json::flag(*v, "goingBack"),
                 .cordoned = json::flag(*v, "cordoned")};
}

Result<void> write_journal(const Journal& j, const std::string& path) {
  LAB_CHECK(fs::make_dirs(path.substr(0, path.rfind('/')), 0700));
  const json::Value v =
      json::Object{{"installed", j.installed},    {"from", object(j.from)}, {"to", object(j.to)},
                   {"dataFormat", j.data_format}, {"begun", j.begun},       {"storeCopied", j.store_copied},
                   {"goingBack", j.going_back},   {"cordoned", j.cordoned}};
  return fs::write_file(path, json::dump_pretty(v, 2) + "\n", 0600);
}

}  // namespace lab::bootstrap::upgrade
