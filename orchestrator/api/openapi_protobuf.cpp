// Swagger 2.0 as gnostic's protobuf (openapi.v2.Document of OpenAPIv2.proto): the fields that openapi_v2 writes.
#include "orchestrator/api/openapi.h"
#include "orchestrator/api/wire.h"

namespace lab::api {

namespace {

class DocumentWriter {
 public:
  std::string run(const json::Value& document) && {
    text(1, json::at(document, "swagger"));
    nested(2, [&] {
      text(1, json::at(document, "info", "title"));
      text(2, json::at(document, "info", "version"));
    });
    nested(8, [&] { named(2, json::map(document, "paths"), [&](const auto& item) { path_item(item); }); });
    nested(9, [&] { named(1, json::map(document, "definitions"), [&](const auto& s) { schema(s); }); });
    nested(10, [&] { named(1, json::map(document, "parameters"), [&](const auto& p) { parameter(p); }); });
    return std::move(out_).take();
  }

 private:
  template <class F>
  void nested(std::uint32_t number, F f) {
    const std::size_t begun = out_.begin(number);
    f();
    out_.end(begun);
  }
  // A map as repeated {name = 1, value = 2}.
  template <class F>
  void named(std::uint32_t number, const json::Object& map, F value) {
    for (const auto& [name, item] : map)
      nested(number, [&] {
        out_.bytes(1, name);
        nested(2, [&] { value(item); });
      });
  }
  void text(std::uint32_t number, const json::Value& v) {
    if (v.is_string()) out_.bytes(number, json::as_str(v));
  }
  void texts(std::uint32_t number, const json::Value& v) {
    for (const auto& item : json::as_array(v)) text(number, item);
  }
  void flag(std::uint32_t number, const json::Value& v) {
    if (json::as_bool(v)) out_.varint(number, 1);
  }
  // gnostic's Any{yaml = 2}; JSON is YAML.
  void any(std::uint32_t number, const json::Value& v) {
    nested(number, [&] { out_.bytes(2, json::dump(v) + "\n"); });
  }
  void extensions(std::uint32_t number, const json::Value& v) {
    for (const auto& [key, value] : json::as_object(v)) {
      if (!std::string_view(key).starts_with("x-")) continue;
      nested(number, [&] {
        out_.bytes(1, key);
        any(2, value);
      });
    }
  }

  void schema(const json::Value& s) {
    text(1, json::at(s, "$ref"));
    text(2, json::at(s, "format"));
    text(3, json::at(s, "title"));
    text(4, json::at(s, "description"));
    text(13, json::at(s, "pattern"));
    texts(19, json::at(s, "required"));
    for (const auto& value : json::list(s, "enum")) any(20, value);
    if (const auto& more = json::at(s, "additionalProperties"); !more.is_null())
      nested(21, [&] {
        if (more.is_bool())
          out_.varint(2, more.get_bool());
        else
          nested(1, [&] { schema(more); });
      });
    if (const auto& type = json::at(s, "type"); type.is_string()) nested(22, [&] { text(1, type); });
    if (const auto& items = json::at(s, "items"); items.is_object())
      nested(23, [&] { nested(1, [&] { schema(items); }); });
    if (const auto& properties = json::at(s, "properties"); properties.is_object())
      nested(25, [&] { named(1, properties.get_object(), [&](const auto& p) { schema(p); }); });
    extensions(31, s);
  }

  void path_item(const json::Value& item) {
    struct Method {
      std::string_view name;
      std::uint32_t number;
    };
    for (const auto& [name, number] :
         {Method{"get", 2}, Method{"put", 3}, Method{"post", 4}, Method{"delete", 5}, Method{"patch", 8}})
      if (const auto& op = json::at(item, name); op.is_object()) nested(number, [&] { operation(op); });
    for (const auto& p : json::list(item, "parameters")) nested(9, [&] { parameters_item(p); });
  }

  void operation(const json::Value& op) {
    texts(1, json::at(op, "tags"));
    text(3, json::at(op, "description"));
    text(5, json::at(op, "operationId"));
    texts(6, json::at(op, "produces"));
    texts(7, json::at(op, "consumes"));
    for (const auto& p : json::list(op, "parameters")) nested(8, [&] { parameters_item(p); });
    nested(9, [&] {
      named(1, json::map(op, "responses"), [&](const auto& response) {
        nested(1, [&] {
          text(1, json::at(response, "description"));
          if (const auto& s = json::at(response, "schema"); !s.is_null())
            nested(2, [&] { nested(1, [&] { schema(s); }); });
        });
      });
    });
    texts(10, json::at(op, "schemes"));
    extensions(13, op);
  }

  void parameters_item(const json::Value& p) {
    if (json::has(p, "$ref"))
      nested(2, [&] { text(1, json::at(p, "$ref")); });
    else
      nested(1, [&] { parameter(p); });
  }

  // Parameter{body = 1 | nonBody = 2{query = 3 | path = 4}}
  void parameter(const json::Value& p) {
    const auto in = json::str(p, "in");
    if (in == "body")
      return nested(1, [&] {
        text(2, json::at(p, "name"));
        text(3, json::at(p, "in"));
        flag(4, json::at(p, "required"));
        nested(5, [&] { schema(json::at(p, "schema")); });
      });
    const bool query = in == "query";
    nested(2, [&] {
      nested(query ? 3 : 4, [&] {
        flag(1, json::at(p, "required"));
        text(2, json::at(p, "in"));
        text(3, json::at(p, "description"));
        text(4, json::at(p, "name"));
        text(query ? 6 : 5, json::at(p, "type"));
        flag(query ? 20 : 19, json::at(p, "uniqueItems"));
      });
    });
  }

  WireWriter out_;
};

}  // namespace

std::string openapi_v2_protobuf(const json::Value& document) {
  return DocumentWriter().run(document);
}

}  // namespace lab::api
