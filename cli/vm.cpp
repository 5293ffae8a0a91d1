#include <algorithm>
#include <cstdio>

#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "bootstrap/common/cluster.h"
#include "bootstrap/common/progress.h"
#include "cli/confirm.h"
#include "cli/duration.h"
#include "cli/groups.h"
#include "cli/join_vm.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

namespace vm = join::vm;
namespace res = client::res;

const Option kOutput{.name = "output",
                     .value = "FORMAT",
                     .help = "text, json or yaml",
                     .fallback = "text",
                     .letter = "o",
                     .choices = {"text", "json", "yaml"}};
const Option kForce{.name = "force", .help = "Do not ask", .letter = "f"};
const Option kKubeconfig{.name = "kubeconfig",
                         .value = "FILE",
                         .help = "The cluster whose Node objects go, too",
                         .fallback = "/etc/kubernetes/admin.conf"};

void print_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> width;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      width.resize(std::max(width.size(), i + 1));
      width[i] = std::max(width[i], row[i].size());
    }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i)
      line += row[i] + (i + 1 < row.size() ? std::string(width[i] - row[i].size() + 3, ' ') : "");
    std::printf("%s\n", line.c_str());
  }
}

std::string state_of(const vm::Machine& m) {
  return !m.whole ? "Incomplete" : m.running ? "Running" : "Stopped";
}

Result<void> list(const Invocation& in) {
  LAB_TRY(auto machines, open_machines(in));
  LAB_TRY(auto all, machines->list());
  if (in.get("output") == "text") {
    std::vector<std::vector<std::string>> rows{{"NAME", "STATE", "ADDRESS", "CPUS", "MEMORY", "IMAGE", "MADE"}};
    for (const auto& m : all)
      rows.push_back({m.spec.name, state_of(m), m.address, std::to_string(m.spec.cpus),
                      std::to_string(m.spec.memory_bytes >> 20) + "Mi", m.image, m.made});
    print_table(rows);
    return {};
  }
  json::Array out;
  for (const auto& m : all)
    out.push_back(json::Object{{"name", m.spec.name},
                               {"state", state_of(m)},
                               {"address", m.address},
                               {"cpus", m.spec.cpus},
                               {"memory", m.spec.memory_bytes},
                               {"image", m.image},
                               {"hostKey", m.host_key},
                               {"made", m.made}});
  std::printf("%s\n", in.get("output") == "yaml" ? yaml::dump(out).c_str() : json::dump_pretty(out).c_str());
  return {};
}

// The node that this machine was, and no other of that name. A cluster that does not answer keeps nobody from deleting.
void forget_node(const Invocation& in, const vm::Machine& m) {
  auto cluster = bootstrap::Cluster::open(in.get("kubeconfig"));
  if (!cluster) return;
  auto node = (*cluster)->get(res::nodes, "", m.spec.name);
  if (!node) return;
  for (const auto& a : json::list(*node, "status", "addresses"))
    if (json::str(a, "type") == "InternalIP" && json::str(a, "address") == m.address &&
        (*cluster)->remove(res::nodes, "", m.spec.name))
      std::printf("Deleted node \"%s\" from the cluster.\n", m.spec.name.c_str());
}

Result<int> remove(const Invocation& in) {
  const bool everything = in.flag("all");
  if (everything == !in.arguments().empty()) {
    report({.code = Code::kInvalid,
            .message = "say which machines: their names, or --all",
            .hint = "lab vm list shows them"});
    return kUsage;
  }
  LAB_TRY(auto machines, open_machines(in));
  LAB_TRY(auto all, machines->list());
  std::vector<std::string> names = in.arguments();
  if (everything)
    for (const auto& m : all) names.push_back(m.spec.name);
  std::string spoken;
  for (const auto& name : names) spoken += (spoken.empty() ? "" : ", ") + name;
  if (!names.empty() && !in.flag("force") && !confirmed("Delete " + spoken + " with all data?", "--force")) return kFailed;
  for (const auto& name : names) {
    const auto found = std::find_if(all.begin(), all.end(), [&](const vm::Machine& m) { return m.spec.name == name; });
    LAB_CHECK(machines->remove(name));
    if (found == all.end()) {
      std::printf("There is no machine \"%s\"; nothing to delete.\n", name.c_str());
      continue;
    }
    std::printf("Deleted machine \"%s\".\n", name.c_str());
    forget_node(in, *found);
  }
  if (everything) {
    LAB_CHECK(machines->remove_all());
    std::printf("No machine is left, nor their network and storage pool.\n");
  }
  return kDone;
}

// The disks of machines hold only what differs from their image: without it they are worthless.
Result<void> check_unused(const Invocation& in, const std::string& image) {
  std::string users;
  if (auto groups = fs::list_dir(vm::kGroupsDirectory))
    for (const auto& group : *groups) {
      const vm::Records records{fs::join(fs::join(vm::kGroupsDirectory, group), "machines")};
      LAB_TRY(auto all, records.all());
      for (const auto& m : all)
        if (m.image == image) users += (users.empty() ? "" : ", ") + m.spec.name;
    }
  if (users.empty()) return {};
  return fail(Code::kConflict, "the image \"" + image + "\" is what the disks of these machines stand on: " + users,
              "delete them first (lab vm delete; lab delete for those of a lab), or take another name: lab vm image "
              "build NAME");
}

Result<void> build(const Invocation& in) {
  vm::BuildOptions o{.name = in.argument(0, vm::kDefaultImage),
                     .suite = in.get("suite"),
                     .mirror = in.get("mirror"),
                     .packages = in.all("include")};
  LAB_TRY(o.disk_bytes, parse_bytes("disk", in.get("disk")));
  if (o.disk_bytes < 2ull << 30) return fail(Code::kInvalid, "--disk: Debian and pods need at least 2Gi");
  LAB_CHECK(check_unused(in, o.name));
  bootstrap::Progress progress;
  LAB_CHECK(vm::build_image(o, [&](const std::string& step) { progress.step("image", step); }));
  progress.done();
  std::printf("The base image \"%s\" is in %s. Use it: lab join --vm worker --count 2\n", o.name.c_str(),
              fs::join(o.directory, o.name).c_str());
  return {};
}

Result<void> list_all_images(const Invocation&) {
  LAB_TRY(auto images, vm::list_images());
  std::vector<std::vector<std::string>> rows{{"NAME", "SUITE", "SIZE", "MADE"}};
  for (const auto& i : images) rows.push_back({i.name, i.suite, std::to_string(i.bytes >> 20) + "Mi", i.made});
  print_table(rows);
  return {};
}

Result<void> remove_image(const Invocation& in) {
  LAB_CHECK(check_unused(in, in.argument(0)));
  LAB_CHECK(vm::delete_image(in.argument(0)));
  std::printf("Deleted image \"%s\".\n", in.argument(0).c_str());
  return {};
}

}  // namespace

Commands vm_commands() {
  return {
      {.path = "vm", .summary = "Virtual machines that were made by join --vm, and their base images"},
      {.path = "vm list",
       .summary = "List the machines",
       .options = {kOutput, libvirt_option()},
       .run = [](const Invocation& in) { return finish(list(in)); }},
      {.path = "vm delete",
       .summary = "Delete machines with their disks, and their nodes from the cluster",
       .arguments = {{"NAME", "a machine", false, true}},
       .options = {{.name = "all", .help = "All of them, with their network and storage pool"},
                   kForce,
                   kKubeconfig,
                   libvirt_option()},
       .run =
           [](const Invocation& in) {
             auto done = remove(in);
             return done ? *done : report(done.error());
           }},
      {.path = "vm image", .summary = "Base images of machines"},
      {.path = "vm image build",
       .summary = "Make a base image of Debian packages",
       .details = "Needs a Debian mirror, and no image from anywhere: mmdebstrap installs the packages, an ext4 disk "
                  "is made of them.",
       .arguments = {{"NAME", "its name; default: debian", false}},
       .options = {{.name = "suite", .value = "SUITE", .help = "Debian's release", .fallback = "bookworm"},
                   {.name = "mirror", .value = "URL", .help = "Debian mirror; default: the one that mmdebstrap knows"},
                   {.name = "include", .value = "PACKAGES", .help = "Further packages", .repeated = true},
                   {.name = "disk",
                    .value = "SIZE",
                    .help = "How large the machines' disks are; only what is written takes space",
                    .fallback = "10Gi"}},
       .run = [](const Invocation& in) { return finish(build(in)); }},
      {.path = "vm image list",
       .summary = "List the base images",
       .run = [](const Invocation& in) { return finish(list_all_images(in)); }},
      {.path = "vm image delete",
       .summary = "Delete a base image that no machine stands on",
       .arguments = {{"NAME", "the image"}},
       .run = [](const Invocation& in) { return finish(remove_image(in)); }},
  };
}

}  // namespace lab::cli
