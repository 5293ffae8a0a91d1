// The fields of kubeadm's configuration kinds, as tables (kubernetes.io/docs: reference/config-api/kubeadm-config).
#pragma once

#include <span>
#include <string_view>

namespace lab::bootstrap::config {

// kTree: a mapping of another API, not looked into.
enum class Kind { kText, kInteger, kBool, kDuration, kTime, kTexts, kTextMap, kBoolMap, kTree, kObject, kObjects };

enum Version : unsigned { kV1beta3 = 1, kV1beta4 = 2, kBoth = 3 };

struct Fields;

struct Field {
  std::string_view name;
  Kind kind = Kind::kText;
  const Fields* of = nullptr;  // kObject, kObjects: the fields inside
  unsigned versions = kBoth;
  std::string_view idle = {};  // why it has no effect here; empty: it is acted upon, or its fields say for themselves
  std::string_view as_is = {};  // JSON: the value that needs no mention, as it is what is done anyway
};

struct Fields {
  std::string_view name;  // "NodeRegistrationOptions"
  std::span<const Field> rows;
  bool open = false;  // a name that is not in the table is warned of, not refused
};

// The documents: InitConfiguration, ClusterConfiguration, JoinConfiguration, ResetConfiguration, UpgradeConfiguration.
struct Document {
  std::string_view kind;
  const Fields* fields;
  unsigned versions = kBoth;
};
std::span<const Document> documents();
const Document* find_document(std::string_view kind);

}  // namespace lab::bootstrap::config
