#include <cstdio>

#include "base/fs.h"
#include "base/yaml/yaml.h"
#include "bootstrap/init/init.h"
#include "bootstrap/init/tokens.h"
#include "cli/duration.h"
#include "cli/groups.h"
#include "cli/report.h"
#include "orchestrator/api/time.h"

namespace lab::cli {

namespace {

using bootstrap::Cluster;

const Option kKubeconfig{.name = "kubeconfig", .value = "FILE", .help = "How to reach the cluster", .fallback = "/etc/kubernetes/admin.conf"};

Result<void> create_token(const Invocation& in) {
  LAB_TRY(auto cluster, Cluster::open(in.get("kubeconfig")));
  bootstrap::TokenRequest request{.token = pki::BootstrapToken::generate(), .description = in.get("description")};
  if (!in.argument(0).empty()) {
    LAB_TRY(request.token, pki::BootstrapToken::parse(in.argument(0)));
  }
  LAB_TRY(request.ttl, parse_seconds("ttl", in.get("ttl")));
  if (in.has("usages")) request.usages = in.all("usages");
  request.groups = in.all("groups");
  LAB_CHECK(bootstrap::create_token(*cluster, request));
  if (!in.flag("print-join-command")) {
    std::printf("%s\n", request.token.text().c_str());
    return {};
  }
  LAB_TRY(auto url, http::parse_url(cluster->config().server));
  LAB_TRY(auto command, bootstrap::join_command(url.host + ":" + std::to_string(url.port), cluster->config().ca_pem, request.token));
  for (auto at = command.find(" \\\n\t"); at != std::string::npos; at = command.find(" \\\n\t")) command.replace(at, 4, " ");
  std::printf("%s\n", command.c_str());
  return {};
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& p : parts) out += (out.empty() ? "" : ",") + p;
  return out.empty() ? "<none>" : out;
}

json::Array texts(const std::vector<std::string>& list) {
  json::Array out;
  for (const auto& text : list) out.emplace_back(text);
  return out;
}

// kubeadm's BootstrapToken: one document for each token.
json::Value token_object(const bootstrap::TokenInfo& t) {
  json::Object out{{"apiVersion", "output.kubeadm.k8s.io/v1alpha3"}, {"kind", "BootstrapToken"}, {"token", t.token.text()}};
  if (!t.description.empty()) out["description"] = t.description;
  if (!t.expires.empty()) out["expires"] = t.expires;
  if (!t.usages.empty()) out["usages"] = texts(t.usages);
  if (!t.groups.empty()) out["groups"] = texts(t.groups);
  return out;
}

std::string left_of(const bootstrap::TokenInfo& t) {
  auto at = api::parse_time(t.expires);
  if (!at) return "<forever>";
  auto left = std::chrono::duration_cast<std::chrono::seconds>(*at - std::chrono::system_clock::now());
  return left.count() <= 0 ? "<expired>" : api::human_duration(left);
}

Result<void> list_tokens(const Invocation& in) {
  LAB_TRY(auto cluster, Cluster::open(in.get("kubeconfig")));
  LAB_TRY(auto tokens, bootstrap::list_tokens(*cluster));
  if (const auto format = in.get("output"); format != "text") {
    for (const auto& t : tokens)
      std::printf("%s\n", format == "json" ? json::dump_pretty(token_object(t)).c_str() : ("---\n" + yaml::dump(token_object(t))).c_str());
    return {};
  }
  std::printf("%-25s %-10s %-22s %-24s %-55s %s\n", "TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS");
  for (const auto& t : tokens)
    std::printf("%-25s %-10s %-22s %-24s %-55s %s\n", t.token.text().c_str(), left_of(t).c_str(),
                t.expires.empty() ? "<never>" : t.expires.c_str(), joined(t.usages).c_str(),
                t.description.empty() ? "<none>" : t.description.c_str(), joined(t.groups).c_str());
  return {};
}

Result<void> delete_tokens(const Invocation& in) {
  LAB_TRY(auto cluster, Cluster::open(in.get("kubeconfig")));
  for (const auto& token : in.arguments()) {
    LAB_CHECK(bootstrap::delete_token(*cluster, token));
    std::printf("bootstrap token \"%s\" deleted\n", token.substr(0, token.find('.')).c_str());
  }
  return {};
}

}  // namespace

Commands token_commands() {
  return {
      {.path = "token", .summary = "Tokens by which nodes join"},
      {.path = "token create",
       .summary = "Make a token",
       .arguments = {{"TOKEN", "the token itself; default: a new one", false, false}},
       .options = {{.name = "ttl", .value = "DURATION", .help = "How long it is good; 0: for ever", .fallback = "24h"},
                   {.name = "print-join-command", .help = "Print the whole join command"},
                   {.name = "description", .value = "TEXT", .help = "What it is for"},
                   {.name = "usages", .value = "USAGES", .help = "signing, authentication; default: both", .repeated = true},
                   {.name = "groups", .value = "GROUPS", .help = "Groups that a bearer belongs to", .repeated = true},
                   kKubeconfig},
       .run = [](const Invocation& in) { return finish(create_token(in)); }},
      {.path = "token list",
       .summary = "Show the tokens",
       .options = {{.name = "output", .value = "FORMAT", .help = "text, json or yaml", .fallback = "text", .letter = "o", .choices = {"text", "json", "yaml"}}, kKubeconfig},
       .run = [](const Invocation& in) { return finish(list_tokens(in)); }},
      {.path = "token delete",
       .summary = "Delete tokens, by id or whole",
       .arguments = {{"TOKEN", "id or token", true, true}},
       .options = {kKubeconfig},
       .run = [](const Invocation& in) { return finish(delete_tokens(in)); }},
      {.path = "token generate",
       .summary = "Print a new token without making it known to a cluster",
       .run =
           [](const Invocation&) {
             std::printf("%s\n", pki::BootstrapToken::generate().text().c_str());
             return kDone;
           }},
  };
}

}  // namespace lab::cli
