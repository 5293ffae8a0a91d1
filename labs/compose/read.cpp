#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <set>

#include "base/fs.h"
#include "base/yaml/fields.h"
#include "labs/compose/model.h"

namespace lab::compose {

namespace {

using yaml::Fields;

// ${NAME}, ${NAME:-DEFAULT}, $NAME; $$ is one dollar.
std::string filled_in(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    if (text[i + 1] == '$') {
      out += '$';
      ++i;
      continue;
    }
    const bool braces = text[i + 1] == '{';
    std::size_t begin = i + (braces ? 2 : 1), end = begin;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_')) ++end;
    const char* value = std::getenv(text.substr(begin, end - begin).c_str());
    std::string fallback;
    if (braces) {
      const auto close = text.find('}', end);
      if (close == std::string::npos) return out + text.substr(i);
      const std::string rest = text.substr(end, close - end);
      if (rest.starts_with(":-") || rest.starts_with("-")) fallback = rest.substr(rest.find('-') + 1);
      end = close + 1;
    }
    out += value && *value ? value : fallback;
    i = end - 1;
  }
  return out;
}

// A list of words, or one text that a shell would split.
std::vector<std::string> command_of(Fields& f, const std::string& key) {
  if (!f.has(key)) return {};
  const auto& v = json::at(f.value(), key);
  if (v.is_string()) return words_of(filled_in(std::string(json::as_str(v))));
  std::vector<std::string> out;
  for (const auto& word : f.texts(key)) out.push_back(filled_in(word));
  return out;
}

std::map<std::string, std::string> pairs_of(Fields& f, const std::string& key) {
  std::map<std::string, std::string> out;
  if (!f.has(key)) return out;
  const auto& v = json::at(f.value(), key);
  if (v.is_array()) {
    for (const auto& line : f.texts(key)) {
      const auto equals = line.find('=');
      const std::string name = line.substr(0, equals);
      if (equals != std::string::npos)
        out[name] = filled_in(line.substr(equals + 1));
      else if (const char* own = std::getenv(name.c_str()))
        out[name] = own;
    }
    return out;
  }
  auto map = f.map(key);
  for (const auto& [name, value] : json::as_object(map.value())) {
    const std::string n(name);
    if (value.is_null()) {
      if (const char* own = std::getenv(n.c_str())) out[n] = own;
    } else if (auto text = map.any_text(n)) {
      out[n] = filled_in(*text);
    }
  }
  return out;
}

bool number(const std::string& text, int& out) {
  if (text.empty() || !std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c); })) return false;
  out = std::atoi(text.c_str());
  return out >= 1 && out <= 65535;
}

// "8000:80", "80", "8000:80/udp". An address before them is for one host's interfaces and has no meaning here.
bool port_of(std::string text, Port& out) {
  if (const auto slash = text.find('/'); slash != std::string::npos) {
    out.protocol = text.substr(slash + 1);
    text.resize(slash);
  }
  const auto colon = text.rfind(':');
  if (!number(text.substr(colon == std::string::npos ? 0 : colon + 1), out.target)) return false;
  if (colon == std::string::npos) return true;
  const std::string before = text.substr(0, colon);
  const auto address = before.rfind(':');
  return number(before.substr(address == std::string::npos ? 0 : address + 1), out.published) &&
         (out.protocol == "tcp" || out.protocol == "udp");
}

void read_ports(Fields& f, Service& out) {
  const auto& list = json::list(f.value(), "ports");
  f.has("ports");
  for (std::size_t i = 0; i < list.size(); ++i) {
    Port port;
    if (list[i].is_object()) {
      auto p = f.item("ports", i);
      port.target = static_cast<int>(p.number("target", 0));
      if (auto published = p.any_text("published")) number(*published, port.published);
      port.protocol = p.text("protocol", "tcp");
      p.has("mode");
      p.has("name");
      p.no_others();
    } else if (!port_of(filled_in(list[i].is_string() ? std::string(json::as_str(list[i])) : json::dump(list[i])),
                        port)) {
      f.item("ports", i).complain("", "is no port that is known here; write \"8000:80\" or \"8000:80/udp\"");
    }
    if (port.target > 0) out.ports.push_back(port);
  }
  for (const auto& text : f.texts("expose")) {
    Port port;
    if (port_of(text, port)) out.ports.push_back({.target = port.target, .protocol = port.protocol});
  }
}

void read_mounts(Fields& f, Service& out, const std::set<std::string>& volumes) {
  const auto& list = json::list(f.value(), "volumes");
  f.has("volumes");
  for (std::size_t i = 0; i < list.size(); ++i) {
    Mount mount;
    std::string source;
    if (list[i].is_object()) {
      auto m = f.item("volumes", i);
      const auto type = m.text("type", "volume");
      source = m.text("source");
      mount.target = m.text("target");
      mount.read_only = m.flag("read_only").value_or(false);
      if (type == "bind") source = "/" + source;
      if (type == "tmpfs") source.clear();
      m.no_others();
    } else {
      std::vector<std::string> parts;
      std::string text = filled_in(std::string(json::as_str(list[i])));
      for (std::size_t at = 0; at <= text.size();) {
        const auto colon = std::min(text.find(':', at), text.size());
        parts.push_back(text.substr(at, colon - at));
        at = colon + 1;
      }
      mount.target = parts.size() > 1 ? parts[1] : parts[0];
      if (parts.size() > 1) source = parts[0];
      mount.read_only = parts.size() > 2 && parts[2].find("ro") != std::string::npos;
    }
    if (source.starts_with("/") || source.starts_with(".") || source.starts_with("~"))
      f.item("volumes", i)
          .complain("",
                    "binds a directory of this machine, which the lab's nodes do not see; copy it into the image, or "
                    "use a named volume");
    else if (!source.empty() && !volumes.contains(source))
      f.item("volumes", i)
          .complain("", "names the volume \"" + source + "\", which the file does not declare under volumes");
    mount.volume = source;
    out.mounts.push_back(std::move(mount));
  }
}

void read_depends(Fields& f, Service& out) {
  if (!f.has("depends_on")) return;
  if (json::at(f.value(), "depends_on").is_array()) {
    for (const auto& name : f.texts("depends_on")) out.depends_on[name] = Condition::kStarted;
    return;
  }
  auto map = f.map("depends_on");
  for (const auto& [name, v] : json::as_object(map.value())) {
    auto entry = map.map(std::string(name));
    const auto condition = entry.text("condition", "service_started");
    entry.has("required");
    entry.has("restart");
    entry.no_others();
    out.depends_on[std::string(name)] = condition == "service_healthy"                  ? Condition::kHealthy
                                        : condition == "service_completed_successfully" ? Condition::kCompleted
                                                                                        : Condition::kStarted;
  }
}

int seconds_of(const std::string& text, int fallback) {
  const int n = std::atoi(text.c_str());
  return n <= 0 ? fallback : text.ends_with("m") ? n * 60 : n;
}

void read_health(Fields& f, Service& out) {
  if (!f.has("healthcheck")) return;
  auto h = f.map("healthcheck");
  if (json::at(h.value(), "test").is_string())
    out.health_test = {"/bin/sh", "-c", h.text("test")};
  else if (auto test = h.texts("test"); !test.empty() && test[0] == "CMD")
    out.health_test.assign(test.begin() + 1, test.end());
  else if (test.size() == 2 && test[0] == "CMD-SHELL")
    out.health_test = {"/bin/sh", "-c", test[1]};
  out.health_interval = seconds_of(h.text("interval"), 10);
  if (h.flag("disable").value_or(false)) out.health_test.clear();
  for (const char* idle : {"timeout", "retries", "start_period", "start_interval"}) h.has(idle);
  h.no_others();
}

void read_build(Fields& f, Service& out, const std::string& directory) {
  if (!f.has("build")) return;
  Build build;
  if (json::at(f.value(), "build").is_string()) {
    build.context = f.text("build");
  } else {
    auto b = f.map("build");
    build.context = b.text("context", ".");
    build.dockerfile = b.text("dockerfile");
    for (const auto& [name, value] : pairs_of(b, "args")) build.args.push_back(name + "=" + value);
    b.no_others();
  }
  if (!build.context.starts_with("/")) build.context = fs::join(directory, build.context);
  if (!build.dockerfile.empty() && !build.dockerfile.starts_with("/"))
    build.dockerfile = fs::join(build.context, build.dockerfile);
  out.build = std::move(build);
}

// Keys of a service that change nothing here, and why.
const std::map<std::string, std::string> kIdle{{"container_name", "pods have names of their own"},
                                               {"hostname", "a pod's name is its host name"},
                                               {"networks", "all services share one network"},
                                               {"labels", "they would say nothing to anybody here"},
                                               {"logging", "logs are kept by the nodes"},
                                               {"links", "every service is known by its name"},
                                               {"init", "each pod has a process that reaps others'"},
                                               {"platform", "nodes are what this machine is"},
                                               {"pull_policy", "images are on the nodes"},
                                               {"stdin_open", "nobody is attached"},
                                               {"tty", "nobody is attached"},
                                               {"profiles", "all services are started"}};

Service read_service(Fields f, const std::string& name, const std::string& directory,
                     const std::set<std::string>& volumes, std::vector<std::string>& warnings) {
  Service out{.name = name,
              .image = filled_in(f.text("image")),
              .entrypoint = command_of(f, "entrypoint"),
              .command = command_of(f, "command"),
              .environment = pairs_of(f, "environment"),
              .working_dir = f.text("working_dir")};
  read_build(f, out, directory);
  if (out.image.empty() && !out.build) f.complain("", "needs an image or a build");
  read_ports(f, out);
  read_mounts(f, out, volumes);
  read_depends(f, out);
  read_health(f, out);
  if (auto restart = f.any_text("restart")) {
    out.restart = *restart == "false"            ? "no"
                  : *restart == "unless-stopped" ? "always"
                                                 : restart->substr(0, restart->find(':'));
    if (out.restart != "no" && out.restart != "always" && out.restart != "on-failure")
      f.complain("restart", "must be no, always, on-failure or unless-stopped");
  }
  out.replicas = f.number("scale", 1);
  if (f.has("deploy")) {
    auto d = f.map("deploy");
    out.replicas = d.number("replicas", out.replicas);
    d.no_others();
  }
  if (auto user = f.any_text("user")) {
    int id = 0;
    if (*user == "0" || *user == "root")
      out.user = 0;
    else if (number(user->substr(0, user->find(':')), id))
      out.user = id;
    else
      f.complain("user", "must be a number: names stand in the image alone");
  }
  if (f.has("stop_grace_period")) out.stop_grace_seconds = seconds_of(f.text("stop_grace_period"), 10);
  for (const auto& [key, why] : kIdle)
    if (f.has(key)) warnings.push_back(f.place(key) + ": " + key + " has no effect: " + why);
  f.no_others();
  return out;
}

// Those that others depend on first; a circle is a mistake.
Result<std::vector<Service>> in_order(std::vector<Service> all) {
  std::vector<Service> out;
  std::set<std::string> done;
  while (!all.empty()) {
    auto ready = std::ranges::find_if(all, [&](const Service& s) {
      return std::ranges::all_of(s.depends_on, [&](const auto& d) { return done.contains(d.first); });
    });
    if (ready == all.end()) {
      std::string names;
      for (const auto& s : all) names += (names.empty() ? "" : ", ") + s.name;
      return fail(Code::kInvalid, "these services wait for each other, or for one that is not there: " + names,
                  "look at their depends_on");
    }
    done.insert(ready->name);
    out.push_back(std::move(*ready));
    all.erase(ready);
  }
  return out;
}

std::string as_name(std::string text) {
  std::string out;
  for (unsigned char c : text) out += std::isalnum(c) ? static_cast<char>(std::tolower(c)) : '-';
  while (!out.empty() && out.front() == '-') out.erase(0, 1);
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.substr(0, 40);
}

std::string directory_of(const std::string& file) {
  char* real = ::realpath(file.c_str(), nullptr);
  std::string out = real ? real : file;
  std::free(real);
  return out.substr(0, std::max<std::size_t>(out.rfind('/'), 1));
}

}  // namespace

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> out;
  std::string word;
  bool any = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      any = true;
    } else if (quote) {
      if (c == quote)
        quote = 0;
      else
        word += c;
    } else if (c == '\'' || c == '"') {
      quote = c;
      any = true;
    } else if (std::isspace(static_cast<unsigned char>(c))) {
      if (any) out.push_back(std::exchange(word, {}));
      any = false;
    } else {
      word += c;
      any = true;
    }
  }
  if (any) out.push_back(word);
  return out;
}

Result<Project> read_project(const std::string& file, const std::string& name) {
  LAB_TRY(auto text, fs::read_file(file));
  auto documents = yaml::parse_located(text);
  if (!documents) return std::unexpected(std::move(documents).error().with_context(file));
  if (documents->size() != 1) return fail(Code::kInvalid, file + " must hold one YAML document");
  std::vector<std::string> problems;
  Fields f((*documents)[0], problems);
  const std::string directory = directory_of(file);
  Project out;
  out.name = as_name(!name.empty()   ? name
                     : f.has("name") ? f.text("name")
                                     : directory.substr(directory.rfind('/') + 1));
  if (out.name.empty()) f.complain("name", "must have a letter or a digit");
  f.has("version");
  if (f.has("networks"))
    out.warnings.push_back(f.place("networks") + ": networks has no effect: all services share one network");
  std::set<std::string> volumes;
  if (f.has("volumes"))
    for (const auto& [v, how] : json::as_object(f.map("volumes").value())) volumes.insert(std::string(v));
  out.volumes.assign(volumes.begin(), volumes.end());
  f.require("services");
  auto services = f.map("services");
  std::vector<Service> all;
  for (const auto& [service, v] : json::as_object(services.value()))
    all.push_back(
        read_service(services.map(std::string(service)), std::string(service), directory, volumes, out.warnings));
  f.no_others();
  if (!problems.empty()) {
    std::string said;
    for (const auto& p : problems) said += "\n  " + p;
    return fail(Code::kInvalid, file + " cannot be run as it is:" + said);
  }
  LAB_TRY(out.services, in_order(std::move(all)));
  return out;
}

}  // namespace lab::compose
