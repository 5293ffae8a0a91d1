#include "bootstrap/config/file.h"

#include <algorithm>
#include <optional>

#include "base/fs.h"
#include "base/yaml/locate.h"
#include "bootstrap/config/check.h"
#include "bootstrap/config/migrate.h"
#include "orchestrator/api/time.h"

namespace lab::bootstrap::config {

namespace {

constexpr std::string_view kGroup = "kubeadm.k8s.io/";

std::string at(const yaml::Document& d, const std::string& pointer) {
  return yaml::place_text(d, pointer) + ": ";
}

// The document's kind and version; what is wrong with them goes to the findings.
void check_document(const yaml::Document& d, Findings& out) {
  const auto version = json::str(d.value, "apiVersion"), kind = json::str(d.value, "kind");
  if (version.empty() || kind.empty()) {
    out.errors.push_back(at(d, "") + "kind and apiVersion is mandatory information that must be specified");
    return;
  }
  const std::string name = std::string(version) + " " + std::string(kind);
  if (version == "kubelet.config.k8s.io/v1beta1" && kind == "KubeletConfiguration") return check_kubelet(d, out);
  if (!version.starts_with(kGroup)) {
    out.warnings.push_back(at(d, "") + "ignored the document " + name +
                           ": it configures a part that has no settings here");
    return;
  }
  const Document* document = find_document(kind);
  const unsigned v = version == "kubeadm.k8s.io/v1beta3"   ? kV1beta3
                     : version == "kubeadm.k8s.io/v1beta4" ? kV1beta4
                                                           : 0;
  if (!v) {
    out.errors.push_back(
        at(d, "/apiVersion") + "the version " + std::string(version) +
        " is not read; v1beta3 and v1beta4 are (an older kubeadm converts older files: kubeadm config migrate)");
  } else if (!document || !(document->versions & v)) {
    out.errors.push_back(at(d, "/kind") + "there is no kind " + std::string(kind) + " in " + std::string(version));
  } else {
    if (v == kV1beta3)
      out.warnings.push_back(at(d, "/apiVersion") +
                             "kubeadm.k8s.io/v1beta3 is deprecated; convert the file: lab config migrate "
                             "--old-config FILE --new-config FILE");
    check_fields(d, *document->fields, v, out);
  }
}

}  // namespace

const json::Value& File::document(std::string_view kind) const {
  auto it = documents.find(std::string(kind));
  return it == documents.end() ? json::null_value() : it->second;
}

Result<File> read_file(const std::string& path) {
  LAB_TRY(auto text, fs::read_file(path));
  return parse_file(text, path);
}

Result<File> parse_file(std::string_view text, const std::string& name) {
  auto documents = yaml::parse_located(text);
  if (!documents) return std::unexpected(std::move(documents).error().with_context(name));
  if (documents->empty())
    return fail(Code::kInvalid, name + " holds no document",
                "lab config print init-defaults shows what it may look like");
  Findings findings;
  std::vector<json::Value> values;
  std::map<std::string, bool> seen;
  for (auto& d : *documents) {
    check_document(d, findings);
    const std::string kind(json::str(d.value, "kind"));
    if (!kind.empty() && std::exchange(seen[kind], true))
      findings.errors.push_back(at(d, "/kind") + "the kind " + kind + " is specified twice");
    values.push_back(d.value);
  }
  if (!findings.errors.empty()) {
    std::string all;
    for (const auto& e : findings.errors) all += "\n\t" + name + ", " + e;
    return fail(Code::kInvalid, "the configuration is not valid:" + all,
                "correct it, then look again: lab config validate --config " + name);
  }
  File file;
  for (const auto& w : findings.warnings) file.warnings.push_back(name + ", " + w);
  for (auto& value : migrate(std::move(values))) file.documents[std::string(json::str(value, "kind"))] = value;
  return file;
}

std::string extra_arg(const json::Value& args, std::string_view name) {
  std::string out;
  for (const auto& arg : json::as_array(args))
    if (json::str(arg, "name") == name) out = json::str(arg, "value");
  return out;
}

std::chrono::seconds seconds_of(const json::Value& field, std::chrono::seconds fallback) {
  auto d = api::parse_duration(json::as_str(field));
  return d ? std::chrono::duration_cast<std::chrono::seconds>(*d) : fallback;
}

}  // namespace lab::bootstrap::config
