// The fuzzer: libFuzzer with the parser that LAB_FUZZ names (parsers.h). With LAB_FUZZ_SEEDS=DIRECTORY it writes the
// parsers' seeds there instead, each into a folder of its name.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/fuzz/parsers.h"

namespace lab::fuzz {
namespace {

const Parser* chosen;

void write_seeds(const std::filesystem::path& directory) {
  for (const auto& parser : parsers()) {
    std::filesystem::create_directories(directory / parser.name);
    int number = 0;
    for (const auto& seed : parser.seeds()) {
      std::ofstream out(directory / parser.name / std::to_string(++number), std::ios::binary);
      out.write(seed.data(), std::streamsize(seed.size()));
    }
  }
}

}  // namespace

void hold(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

}  // namespace lab::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  if (const char* directory = std::getenv("LAB_FUZZ_SEEDS")) {
    lab::fuzz::write_seeds(directory);
    std::exit(0);
  }
  const char* name = std::getenv("LAB_FUZZ");
  for (const auto& parser : lab::fuzz::parsers()) {
    if (name && std::strcmp(name, parser.name) == 0) lab::fuzz::chosen = &parser;
  }
  if (lab::fuzz::chosen) return 0;
  std::fprintf(stderr, "LAB_FUZZ names none of the parsers:");
  for (const auto& parser : lab::fuzz::parsers()) std::fprintf(stderr, " %s", parser.name);
  std::fprintf(stderr, "\n");
  std::exit(2);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lab::fuzz::chosen->run({data, size});
  return 0;
}
