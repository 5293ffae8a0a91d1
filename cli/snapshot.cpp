// lab pause, unpause and snapshot: a local lab between start and delete.
#include <cinttypes>
#include <cstdio>

#include "base/yaml/yaml.h"
#include "bootstrap/local/life.h"
#include "cli/groups.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

const Option kProfile{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"};
const Option kOutput{.name = "output",
                     .value = "FORMAT",
                     .help = "text, json or yaml",
                     .fallback = "text",
                     .letter = "o",
                     .choices = {"text", "json", "yaml"}};
const std::vector<Argument> kName{{"NAME", "name of the snapshot"}};

// In words of three figures: "812 KiB", "37.4 MiB".
std::string size_text(std::uint64_t bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double n = static_cast<double>(bytes);
  int unit = 0;
  for (; n >= 1000 && unit < 4; ++unit) n /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, n < 100 && unit > 0 ? "%.1f %s" : "%.0f %s", n, units[unit]);
  return text;
}

Result<void> pause(const Invocation& in) {
  LAB_TRY(bool changed, bootstrap::pause_lab(in.get("profile")));
  std::printf(
      changed ? "Paused lab \"%s\": its processes stand still until lab unpause.\n" : "Lab \"%s\" is paused already.\n",
      in.get("profile").c_str());
  return {};
}

Result<void> unpause(const Invocation& in) {
  LAB_TRY(bool changed, bootstrap::unpause_lab(in.get("profile")));
  std::printf(changed ? "Lab \"%s\" goes on.\n" : "Lab \"%s\" is not paused.\n", in.get("profile").c_str());
  return {};
}

Result<void> save(const Invocation& in) {
  LAB_TRY(
      auto s,
      bootstrap::save_snapshot(
          {.profile = in.get("profile"), .name = in.argument(0), .program = LAB_VERSION, .replace = in.flag("force")}));
  std::printf("Saved snapshot \"%s\" of %zu nodes: %s of its own, %s shared with the lab.\n", s.name.c_str(),
              s.nodes.size(), size_text(s.copied_bytes).c_str(), size_text(s.shared_bytes).c_str());
  return {};
}

Result<void> restore(const Invocation& in) {
  LAB_TRY(auto s, bootstrap::restore_snapshot(in.get("profile"), in.argument(0)));
  std::printf("Restored snapshot \"%s\": lab \"%s\" is as it was at %s.\n", s.name.c_str(), in.get("profile").c_str(),
              s.created.c_str());
  return {};
}

Result<void> list(const Invocation& in) {
  LAB_TRY(auto all, bootstrap::snapshots_of(in.get("profile")));
  if (in.get("output") == "text") {
    if (all.empty()) {
      std::printf("Lab \"%s\" has no snapshots.\n", in.get("profile").c_str());
      return {};
    }
    std::printf("%-24s %-21s %6s %8s %9s %9s\n", "NAME", "CREATED", "NODES", "FILES", "OWN", "SHARED");
    for (const auto& s : all)
      std::printf("%-24s %-21s %6zu %8" PRIu64 " %9s %9s\n", s.name.c_str(),
                  s.created.empty() ? s.program.c_str() : s.created.c_str(), s.nodes.size(), s.files,
                  size_text(s.copied_bytes).c_str(), size_text(s.shared_bytes).c_str());
    return {};
  }
  json::Array out;
  for (const auto& s : all) {
    json::Array nodes;
    for (const auto& n : s.nodes) nodes.emplace_back(n);
    out.push_back(json::Object{{"name", s.name},
                               {"created", s.created},
                               {"program", s.program},
                               {"nodes", std::move(nodes)},
                               {"files", s.files},
                               {"copiedBytes", s.copied_bytes},
                               {"sharedBytes", s.shared_bytes}});
  }
  std::printf("%s\n", in.get("output") == "yaml" ? yaml::dump(out).c_str() : json::dump_pretty(out).c_str());
  return {};
}

Result<void> remove(const Invocation& in) {
  LAB_CHECK(bootstrap::drop_snapshot(in.get("profile"), in.argument(0)));
  std::printf("Deleted snapshot \"%s\".\n", in.argument(0).c_str());
  return {};
}

}  // namespace

Commands life_commands() {
  return {
      {.path = "pause",
       .summary = "Let all of the lab's processes stand still",
       .details = "They keep their memory, files and connections, and take no processor time, until lab unpause. A "
                  "paused lab can be\n"
                  "saved, started (which lets it go on), stopped and deleted.",
       .options = {kProfile},
       .run = [](const Invocation& in) { return finish(pause(in)); }},
      {.path = "unpause",
       .summary = "Let a paused lab go on",
       .options = {kProfile},
       .run = [](const Invocation& in) { return finish(unpause(in)); }},
      {.path = "snapshot", .summary = "Save the lab's state, and bring it back"},
      {.path = "snapshot save",
       .summary = "Save the lab as it is: store, certificates, containers and the nodes' files",
       .details =
           "As in: lab snapshot save before-lesson-3\nA lab that runs stands still while it is copied, and goes on.",
       .arguments = kName,
       .options = {kProfile, {.name = "force", .help = "Replace a snapshot of this name", .letter = "f"}},
       .run = [](const Invocation& in) { return finish(save(in)); }},
      {.path = "snapshot restore",
       .summary = "Bring the lab back to a snapshot, running; what it is now is lost",
       .details = "As in: lab snapshot restore before-lesson-3\nEvery file is checked before the lab is touched. Pods "
                  "start anew, with the data of then.",
       .arguments = kName,
       .options = {kProfile},
       .run = [](const Invocation& in) { return finish(restore(in)); }},
      {.path = "snapshot list",
       .summary = "List the lab's snapshots",
       .options = {kProfile, kOutput},
       .run = [](const Invocation& in) { return finish(list(in)); }},
      {.path = "snapshot delete",
       .summary = "Delete a snapshot",
       .arguments = kName,
       .options = {kProfile},
       .run = [](const Invocation& in) { return finish(remove(in)); }},
  };
}

}  // namespace lab::cli
