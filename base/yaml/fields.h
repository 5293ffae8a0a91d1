// Reading a mapping of a located YAML document field by field, for this folder: what is wrong is collected, with its
// place.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/yaml/locate.h"

namespace lab::yaml {

class Fields {
 public:
  Fields(const Document& document, std::vector<std::string>& problems, std::string pointer = {});

  bool has(const std::string& key);
  std::string text(const std::string& key, std::string fallback = {});
  std::optional<std::string> any_text(const std::string& key);  // numbers and booleans as they are written
  std::int64_t number(const std::string& key, std::int64_t fallback);
  std::optional<double> real(const std::string& key);
  std::optional<bool> flag(const std::string& key);
  std::vector<std::string> texts(const std::string& key);
  Fields item(const std::string& key, std::size_t index);  // one of a list, which may hold other things as well
  std::vector<Fields> list(const std::string& key);        // of mappings
  Fields map(const std::string& key);

  void require(const std::string& key);
  void complain(const std::string& key, const std::string& what);  // key "": the mapping itself
  std::string place(const std::string& key) const;
  void no_others();  // names every key that nobody asked for

  const json::Value& value() const { return *value_; }

 private:
  const json::Value& take(const std::string& key);
  const Document* document_;
  std::vector<std::string>* problems_;
  std::string pointer_;
  const json::Value* value_;
  std::set<std::string> taken_;
};

}  // namespace lab::yaml
