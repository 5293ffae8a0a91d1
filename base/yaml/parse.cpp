#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <cstdint>
#include <istream>
#include <map>
#include <sstream>

#include "base/yaml/locate.h"
#include "base/yaml/scalar.h"
#include "base/yaml/yaml.h"

namespace lab::yaml {

namespace {

// Aliases may repeat what they name; a few lines of YAML must not become gigabytes.
constexpr std::size_t kMaxAliasedNodes = 100'000;

std::string place(const YAML::Mark& mark) {
  return "line " + std::to_string(mark.line + 1) + ", column " + std::to_string(mark.column + 1);
}

std::size_t count_nodes(const json::Value& v) {
  std::size_t n = 1;
  for (const auto& item : json::as_array(v)) n += count_nodes(item);
  for (const auto& [key, item] : json::as_object(v)) n += count_nodes(item);
  return n;
}

// Builds one document from yaml-cpp's events. The first error stays in `error`; later events are then ignored.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::vector<std::string>* duplicates, std::map<std::string, Place>* places)
      : duplicates_(duplicates), places_(places) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(nullptr, anchor, mark, true); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto it = anchors_.find(anchor);
    if (it == anchors_.end()) return refuse(mark, "an alias stands inside the value it names");
    aliased_ += count_nodes(it->second);
    if (aliased_ > kMaxAliasedNodes) return refuse(mark, "aliases repeat too many values");
    add(json::Value(it->second), 0, mark, false);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const bool plain = tag == "?" || tag.empty();
    if (plain) return add(resolve_plain(text), anchor, mark, text == "<<");
    if (tag == "tag:yaml.org,2002:binary" || tag == "tag:yaml.org,2002:str" || tag == "!")
      return add(json::Value(text), anchor, mark, false);
    if (tag.starts_with("tag:yaml.org,2002:")) return add(resolve_plain(text), anchor, mark, false);
    add(json::Value(text), anchor, mark, false);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(json::Array(), anchor, mark);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(json::Object(), anchor, mark);
  }
  void OnMapEnd() override { close(); }

  json::Value root;
  std::string error;
  std::vector<std::string> found_duplicates;

 private:
  struct Level {
    json::Value value;
    YAML::anchor_t anchor;
    YAML::Mark mark;
    std::string key;
    std::string path;  // JSON pointer, kept where places are asked for
    bool have_key = false, merge = false;
    std::vector<json::Value> merges;  // values of <<, weaker than the mapping's own keys
  };

  void refuse(const YAML::Mark& mark, std::string_view why) {
    if (error.empty()) error = "invalid YAML at " + place(mark) + ": " + std::string(why);
  }

  void open(json::Value empty, YAML::anchor_t anchor, const YAML::Mark& mark) {
    if (stack_.size() >= json::kMaxDepth) refuse(mark, "nested too deeply");
    if (!stack_.empty() && stack_.back().value.is_object() && !stack_.back().have_key)
      refuse(mark, "a mapping key must be a scalar");
    if (!error.empty()) return;
    Level level{.value = std::move(empty), .anchor = anchor, .mark = mark};
    if (places_) level.path = path_of_next(mark);
    stack_.push_back(std::move(level));
  }

  // The pointer of the value that comes next. A value of a mapping is found where its key stands.
  std::string path_of_next(const YAML::Mark& mark) {
    std::string path;
    if (!stack_.empty()) {
      const Level& above = stack_.back();
      path = above.path + "/" +
             (above.value.is_array() ? std::to_string(above.value.get_array().size()) : pointer_token(above.key));
    }
    places_->try_emplace(path, Place{mark.line + 1, mark.column + 1});
    return path;
  }

  void close() {
    if (!error.empty()) return;
    Level level = std::move(stack_.back());
    stack_.pop_back();
    if (level.value.is_object())
      for (const auto& source : level.merges) merge_into(level.value.get_object(), source, level.mark);
    add(std::move(level.value), level.anchor, level.mark, false);
  }

  void merge_into(json::Object& target, const json::Value& source, const YAML::Mark& mark) {
    if (source.is_array()) {
      for (const auto& item : source.get_array()) merge_into(target, item, mark);
    } else if (source.is_object()) {
      for (const auto& [key, value] : source.get_object())
        if (!target.contains(key)) target.emplace(key, value);
    } else {
      refuse(mark, "map merge requires map or sequence of maps as the value");
    }
  }

  // A finished value: a key, or a value of the innermost collection, or the document.
  void add(json::Value value, YAML::anchor_t anchor, const YAML::Mark& mark, bool merge_key) {
    if (!error.empty()) return;
    if (anchor) anchors_[anchor] = value;
    if (stack_.empty()) {
      root = std::move(value);
      return;
    }
    Level& level = stack_.back();
    if (level.value.is_array()) {
      if (places_) path_of_next(mark);
      level.value.get_array().push_back(std::move(value));
    } else if (!level.have_key) {
      take_key(level, std::move(value), mark, merge_key);
    } else {
      if (level.merge)
        level.merges.push_back(std::move(value));
      else
        level.value.get_object().insert_or_assign(level.key, std::move(value));
      level.have_key = false;
    }
  }

  void take_key(Level& level, json::Value value, const YAML::Mark& mark, bool merge_key) {
    if (value.is_null() || value.is_object() || value.is_array()) return refuse(mark, "a mapping key must be a scalar");
    level.key = value.is_string() ? std::string(json::as_str(value)) : json::dump(value);
    level.have_key = true;
    level.merge = merge_key && level.key == "<<";
    if (places_ && !level.merge)
      places_->insert_or_assign(level.path + "/" + pointer_token(level.key), Place{mark.line + 1, mark.column + 1});
    if (level.merge || !level.value.get_object().contains(level.key)) return;
    std::string finding =
        "line " + std::to_string(mark.line + 1) + ": key " + json::dump(json::Value(level.key)) + " already set in map";
    if (duplicates_)
      duplicates_->push_back(std::move(finding));
    else
      refuse(mark, "key " + json::dump(json::Value(level.key)) + " already set in map");
  }

  std::vector<std::string>* duplicates_;
  std::map<std::string, Place>* places_;
  std::vector<Level> stack_;
  std::map<YAML::anchor_t, json::Value> anchors_;
  std::size_t aliased_ = 0;
};

Result<std::vector<json::Value>> read(std::string_view text, bool all, std::vector<std::string>* duplicates,
                                      std::vector<std::map<std::string, Place>>* places = nullptr) {
  std::vector<json::Value> documents;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser) {
      std::map<std::string, Place> found;
      Builder builder(duplicates, places ? &found : nullptr);
      if (!parser.HandleNextDocument(builder)) break;
      if (!builder.error.empty()) return fail(Code::kBadRequest, std::move(builder.error));
      if (builder.root.is_null()) continue;
      documents.push_back(std::move(builder.root));
      if (places) places->push_back(std::move(found));
      if (!all) break;
    }
  } catch (const YAML::Exception& e) {
    return fail(Code::kBadRequest, "invalid YAML at " + place(e.mark) + ": " + e.msg);
  }
  return documents;
}

}  // namespace

std::string pointer_token(std::string_view key) {
  std::string out;
  for (char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

Result<std::vector<Document>> parse_located(std::string_view text) {
  std::vector<std::map<std::string, Place>> places;
  LAB_TRY(auto values, read(text, true, nullptr, &places));
  std::vector<Document> out;
  for (std::size_t i = 0; i < values.size(); ++i) out.push_back({std::move(values[i]), std::move(places[i])});
  return out;
}

Result<json::Value> parse(std::string_view text, std::vector<std::string>* duplicates) {
  LAB_TRY(auto documents, read(text, false, duplicates));
  if (documents.empty()) return json::Value();
  return std::move(documents.front());
}

Result<std::vector<json::Value>> parse_all(std::string_view text) {
  return read(text, true, nullptr);
}

std::string place_text(const Document& document, std::string pointer) {
  auto it = document.places.find(pointer);
  while (it == document.places.end() && !pointer.empty()) {
    pointer.erase(pointer.rfind('/'));
    it = document.places.find(pointer);
  }
  if (it == document.places.end()) return "line 1, column 1";
  return "line " + std::to_string(it->second.line) + ", column " + std::to_string(it->second.column);
}

}  // namespace lab::yaml
