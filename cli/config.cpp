// lab config: kubeadm's configuration files printed, judged and brought to the newer version.
#include <cstdio>

#include "base/fs.h"
#include "bootstrap/config/defaults.h"
#include "bootstrap/config/file.h"
#include "bootstrap/config/migrate.h"
#include "cli/config_flag.h"
#include "cli/groups.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

namespace config = bootstrap::config;

Result<void> print(const Invocation& in, std::vector<json::Value> documents) {
  for (const auto& kind : in.all("component-configs")) {
    LAB_TRY(auto document, config::component_defaults(kind));
    documents.push_back(std::move(document));
  }
  std::fputs(config::documents_text(documents).c_str(), stdout);
  return {};
}

Result<void> print_all(const Invocation& in) {
  auto documents = config::init_defaults();
  for (auto& d : config::join_defaults()) documents.push_back(std::move(d));
  return print(in, std::move(documents));
}

Result<void> validate(const Invocation& in) {
  if (!in.has("config"))
    return fail(Code::kInvalid, "the --config flag is mandatory", "as in: lab config validate --config kubeadm.yaml");
  LAB_TRY(auto file, config::read_file(in.get("config")));
  LAB_CHECK(judge_kubelet(file));
  show_warnings(file);
  std::printf("ok\n");
  return {};
}

Result<void> migrate(const Invocation& in) {
  const std::string path = in.get("old-config");
  if (path.empty())
    return fail(Code::kInvalid, "the --old-config flag is mandatory",
                "as in: lab config migrate --old-config old.yaml --new-config new.yaml");
  LAB_TRY(auto text, fs::read_file(path));
  LAB_TRY(auto migrated, config::migrate_text(text, path));
  if (in.has("new-config")) return fs::write_file(in.get("new-config"), migrated, 0600);
  std::fputs(migrated.c_str(), stdout);
  return {};
}

const Option kComponentConfigs{.name = "component-configs",
                               .value = "KINDS",
                               .help = "Also the defaults of these: KubeletConfiguration, KubeProxyConfiguration",
                               .repeated = true};

Command defaults(const char* name, const char* summary, int (*run)(const Invocation&)) {
  return {.path = std::string("config print ") + name, .summary = summary, .options = {kComponentConfigs}, .run = run};
}

}  // namespace

Commands config_commands() {
  return {
      {.path = "config", .summary = "Configuration files: print the defaults, validate, migrate"},
      {.path = "config print",
       .summary = "Print default configurations",
       .details = "Without a name: those of init and join. What differs on every machine (name, address, token) is a "
                  "placeholder.",
       .options = {kComponentConfigs},
       .run = [](const Invocation& in) { return finish(print_all(in)); }},
      defaults("init-defaults", "Print default init configuration, that can be used for 'lab init'",
               [](const Invocation& in) { return finish(print(in, config::init_defaults())); }),
      defaults("join-defaults", "Print default join configuration, that can be used for 'lab join'",
               [](const Invocation& in) { return finish(print(in, config::join_defaults())); }),
      defaults("reset-defaults", "Print default reset configuration, that can be used for 'lab reset'",
               [](const Invocation& in) { return finish(print(in, config::reset_defaults())); }),
      defaults("upgrade-defaults", "Print default upgrade configuration",
               [](const Invocation& in) { return finish(print(in, config::upgrade_defaults())); }),
      {.path = "config validate",
       .summary = "Read a file containing the kubeadm configuration API and report any validation errors",
       .details =
           "Prints ok, or every mistake by line and column. Warnings name fields that are accepted without effect.",
       .options = {kConfigOption},
       .run = [](const Invocation& in) { return finish(validate(in)); }},
      {.path = "config migrate",
       .summary = "Read an older version of the kubeadm configuration API types from a file, and output the similar "
                  "config object for the newer version",
       .options = {{.name = "old-config", .value = "FILE", .help = "The file to convert (kubeadm.k8s.io/v1beta3)"},
                   {.name = "new-config",
                    .value = "FILE",
                    .help = "Where to write the v1beta4 file; default: standard output"}},
       .run = [](const Invocation& in) { return finish(migrate(in)); }},
  };
}

}  // namespace lab::cli
