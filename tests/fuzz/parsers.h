// What reads bytes that anybody may send, each with the ports it stands behind, and what must hold of every input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lab::fuzz {

using Bytes = std::span<const std::uint8_t>;

struct Parser {
  const char* name;
  void (*run)(Bytes input);             // ends the process when something does not hold
  std::vector<std::string> (*seeds)();  // well-formed messages to begin with
};

const std::vector<Parser>& parsers();
std::vector<Parser> mesh_parsers();    // of the mesh and the ring
std::vector<Parser> sleeve_parsers();  // of the paths between nodes

// Ends the process and says what did not hold.
void hold(bool condition, const char* what);

inline std::string_view text_of(Bytes input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

}  // namespace lab::fuzz
