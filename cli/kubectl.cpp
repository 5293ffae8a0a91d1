#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/subprocess.h"
#include "bootstrap/local/lab.h"
#include "bootstrap/local/steps.h"
#include "bootstrap/node/network_namespace.h"
#include "cli/groups.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

enum class Use { kPrint, kAsk };

Result<std::string> kubeconfig_of(const bootstrap::Profile& profile, Use use) {
  LAB_TRY(auto driver, bootstrap::make_driver(profile));
  if (use == Use::kAsk) LAB_CHECK(bootstrap::refuse_paused(*driver, profile));   // nobody would answer
  return bootstrap::admin_kubeconfig(profile, *driver);
}

Result<void> kubeconfig(const Invocation& in) {
  LAB_TRY(auto profile, bootstrap::load_profile(in.get("profile")));
  LAB_TRY(auto text, kubeconfig_of(profile, Use::kPrint));
  std::fputs(text.c_str(), stdout);
  if (profile.network.isolated())
    std::fprintf(stderr, "note: the lab is isolated: from here its addresses are not reached. Use lab kubectl -p %s ..., or lab shell -p %s %s\n",
                 profile.name.c_str(), profile.name.c_str(), profile.nodes[0].name.c_str());
  return {};
}

Result<void> exec_kubectl(std::vector<std::string> words) {
  std::string profile = "lab";
  if (words.size() >= 2 && (words[0] == "-p" || words[0] == "--profile")) {
    profile = words[1];
    words.erase(words.begin(), words.begin() + 2);
  }
  if (!words.empty() && words[0] == "--") words.erase(words.begin());
  if (!find_in_path("kubectl"))
    return fail(Code::kNotFound, "kubectl is not installed on this machine", "apt-get install kubernetes-client");
  LAB_TRY(auto lab, bootstrap::load_profile(profile));
  LAB_TRY(auto text, kubeconfig_of(lab, Use::kAsk));
  LAB_CHECK(bootstrap::move_into(lab.network));
  // The credentials go through memory: no file of them is left behind, however kubectl ends.
  int fd = ::memfd_create("kubeconfig", 0);
  if (fd < 0 || ::write(fd, text.data(), text.size()) != static_cast<ssize_t>(text.size())) return fail_errno("hold the kubeconfig");
  ::setenv("KUBECONFIG", ("/proc/self/fd/" + std::to_string(fd)).c_str(), 1);
  words.insert(words.begin(), "kubectl");
  std::vector<char*> argv;
  for (auto& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  ::execvp("kubectl", argv.data());
  return fail_errno("run kubectl");
}

}  // namespace

Commands kubectl_commands() {
  return {
      {.path = "kubectl", .summary = "Run kubectl against the lab", .details = "lab kubectl [-p PROFILE] ARGUMENTS...",
       .run = [](const Invocation& in) { return finish(exec_kubectl(in.arguments())); }, .passes_rest = true},
      {.path = "kubeconfig", .summary = "Print the lab's kubeconfig",
       .options = {{.name = "profile", .value = "NAME", .help = "Which lab", .fallback = "lab", .letter = "p"}},
       .run = [](const Invocation& in) { return finish(kubeconfig(in)); }},
  };
}

}  // namespace lab::cli
