#include "join/vm/record.h"

#include <cctype>
#include <ctime>

#include "base/fs.h"
#include "base/json.h"

namespace lab::join::vm {

namespace {
constexpr std::string_view kEnding = ".json";
constexpr std::size_t kLongestName = 40;
}  // namespace

Result<void> check_machine_name(const std::string& name) {
  bool ok = !name.empty() && name.size() <= kLongestName && name.front() != '-' && name.back() != '-';
  for (unsigned char c : name) ok = ok && (std::islower(c) || std::isdigit(c) || c == '-');
  if (ok) return {};
  return fail(Code::kInvalid, "\"" + name + "\" is no name for a machine",
              "use lower-case letters, digits and '-', at most 40");
}

std::string Records::path_of(const std::string& name) const {
  return fs::join(directory_, name + std::string(kEnding));
}

Result<void> Records::save(const Machine& m) const {
  LAB_CHECK(check_machine_name(m.spec.name));
  const json::Value v = json::Object{{"name", m.spec.name}, {"memory", m.spec.memory_bytes},
                                     {"cpus", m.spec.cpus}, {"uuid", m.uuid},
                                     {"mac", m.mac},        {"address", m.address},
                                     {"image", m.image},    {"hostKey", m.host_key},
                                     {"made", m.made},      {"whole", m.whole}};
  LAB_CHECK(fs::make_dirs(directory_, 0711));
  return fs::write_file(path_of(m.spec.name), json::dump_pretty(v, 2) + "\n", 0600);
}

Result<Machine> Records::load(const std::string& name) const {
  LAB_CHECK(check_machine_name(name));
  auto text = fs::read_file(path_of(name));
  if (!text && text.error().code == Code::kNotFound)
    return fail(Code::kNotFound, "there is no machine \"" + name + "\"", "lab vm list shows them");
  LAB_TRY(auto content, std::move(text));
  auto v = json::parse(content);
  if (!v) return std::unexpected(std::move(v).error().with_context("read " + path_of(name)));
  return Machine{.spec = {.name = name,
                          .memory_bytes = static_cast<std::uint64_t>(json::num(*v, "memory")),
                          .cpus = static_cast<int>(json::num(*v, "cpus")),
                          .address = std::string(json::str(*v, "address"))},
                 .uuid = std::string(json::str(*v, "uuid")),
                 .mac = std::string(json::str(*v, "mac")),
                 .address = std::string(json::str(*v, "address")),
                 .image = std::string(json::str(*v, "image")),
                 .host_key = std::string(json::str(*v, "hostKey")),
                 .made = std::string(json::str(*v, "made")),
                 .whole = json::flag(*v, "whole")};
}

Result<void> Records::forget(const std::string& name) const {
  return fs::remove_file(path_of(name));
}

Result<std::vector<Machine>> Records::all() const {
  std::vector<Machine> out;
  if (!fs::exists(directory_)) return out;
  LAB_TRY(auto files, fs::list_dir(directory_));
  for (const auto& file : files) {
    if (!file.ends_with(kEnding)) {
      if (file.find(".json.tmp-") != std::string::npos)
        LAB_CHECK(fs::remove_file(fs::join(directory_, file)));  // of a save that was killed
      continue;
    }
    LAB_TRY(auto machine, load(file.substr(0, file.size() - kEnding.size())));
    out.push_back(std::move(machine));
  }
  return out;
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace lab::join::vm
