#include <cstdio>

#include "cli/groups.h"
#include "orchestrator/store/format.h"

namespace lab::cli {

Commands version_commands() {
  return {{.path = "version",
           .summary = "Show the version",
           .options = {{.name = "output", .value = "FORMAT", .help = "short, text or json", .fallback = "text", .letter = "o", .choices = {"short", "text", "json"}}},
           .run = [](const Invocation& in) {
             if (in.get("output") == "short")
               std::printf("v%s\n", LAB_VERSION);
             else if (in.get("output") == "json")
               std::printf("{\"version\": \"v%s\", \"kubernetesVersion\": \"v1.32.3\", \"dataFormat\": %d}\n", LAB_VERSION,
                           store::kFormat);
             else
               std::printf("lab v%s (Kubernetes v1.32.3)\n", LAB_VERSION);
             return kDone;
           }}};
}

}  // namespace lab::cli
