#include "labs/exercises/seen.h"

#include <map>

namespace lab::exercises {

namespace {

const std::map<Saw, Text> kWords{
    {Saw::kNothing, {{{"en", ""}, {"es", ""}}}},
    {Saw::kCount, {{{"en", "{0} of {1} ({2} {3} there)"}, {"es", "{0} de {1} (hay {2} {3})"}}}},
    {Saw::kCountInPlaces,
     {{{"en", "{0} of {1} ({2} {3} there), in {4} of {5} places"},
       {"es", "{0} de {1} (hay {2} {3}), en {4} de {5} lugares"}}}},
    {Saw::kNotServed, {{{"en", "{0} is not served"}, {"es", "la API no conoce el tipo {0}"}}}},
    {Saw::kNoCluster, {{{"en", "there is no cluster yet"}, {"es", "todavía no hay clúster"}}}},
    {Saw::kApiSilent, {{{"en", "the API server does not answer"}, {"es", "el servidor de la API no responde"}}}},
    {Saw::kApiRefuses, {{{"en", "the API server says: {0}"}, {"es", "el servidor de la API dice: {0}"}}}},
    {Saw::kStatus, {{{"en", "status {0}"}, {"es", "estado {0}"}}}},
    {Saw::kPage, {{{"en", "the answer begins: {0}"}, {"es", "la respuesta empieza así: {0}"}}}},
    {Saw::kEmptyPage, {{{"en", "the answer is empty"}, {"es", "la respuesta está vacía"}}}},
    {Saw::kNobodyAnswers, {{{"en", "nobody answers at {0}"}, {"es", "nadie responde en {0}"}}}},
    {Saw::kTooSlow, {{{"en", "{0} does not answer in time"}, {"es", "{0} no responde a tiempo"}}}},
    {Saw::kExitCode, {{{"en", "exit code {0}: {1}"}, {"es", "código de salida {0}: {1}"}}}},
    {Saw::kCommandTooSlow, {{{"en", "the command did not end within {0} s"}, {"es", "la orden no terminó en {0} s"}}}},
    {Saw::kNoNode, {{{"en", "there is no node {0}"}, {"es", "no hay ningún nodo {0}"}}}},
    {Saw::kNodeStopped, {{{"en", "the node {0} does not run"}, {"es", "el nodo {0} no está en marcha"}}}},
    {Saw::kNotLooked, {{{"en", "it could not be looked at: {0}"}, {"es", "no se ha podido mirar: {0}"}}}},
    {Saw::kBroken, {{{"en", "the check is broken: {0}"}, {"es", "la comprobación tiene un error: {0}"}}}},
};

}  // namespace

const Text& words_of(Saw what) {
  return kWords.at(what);
}

std::string Seen::in(const std::string& language) const {
  const std::string& text = words_of(what).in(language);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hole = text[i] == '{' && i + 2 < text.size() && text[i + 2] == '}';
    const auto n = hole ? static_cast<std::size_t>(text[i + 1] - '0') : 0;
    if (!hole) {
      out += text[i];
      continue;
    }
    if (n < with.size()) out += with[n];
    i += 2;
  }
  return out;
}

Seen no_answer(const Error& error, const std::string& where) {
  if (error.code == Code::kTimeout) return {Saw::kTooSlow, {where}};
  if (error.code == Code::kUnavailable || error.code == Code::kIo) return {Saw::kNobodyAnswers, {where}};
  return {Saw::kNotLooked, {error.message}};
}

Seen no_objects(const Error& error) {
  if (error.code == Code::kTimeout || error.code == Code::kUnavailable || error.code == Code::kIo)
    return {Saw::kApiSilent, {}};
  return {Saw::kApiRefuses, {error.message}};
}

Seen no_command(const Error& error, const std::string& node, int seconds) {
  if (error.code == Code::kTimeout) return {Saw::kCommandTooSlow, {std::to_string(seconds)}};
  if (error.code == Code::kNotFound) return {Saw::kNoNode, {node}};
  if (error.code == Code::kUnavailable) return {Saw::kNodeStopped, {node}};
  return {Saw::kNotLooked, {error.message}};
}

}  // namespace lab::exercises
