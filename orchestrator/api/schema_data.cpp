#include "orchestrator/api/schema_data.h"

// .incbin costs the compiler nothing, however large the data; the pages are read from the binary only when touched.
__asm__(
    ".section .rodata.lab_schema,\"a\",@progbits\n"
    ".balign 16\n"
    ".globl lab_schema_begin\n"
    "lab_schema_begin:\n"
    ".incbin \"" LAB_SCHEMA_BLOB
    "\"\n"
    ".globl lab_schema_end\n"
    "lab_schema_end:\n"
    ".previous\n");

extern "C" const char lab_schema_begin[] __attribute__((visibility("hidden")));
extern "C" const char lab_schema_end[] __attribute__((visibility("hidden")));

namespace lab::api {

std::string_view schema_data() {
  return {lab_schema_begin, static_cast<std::size_t>(lab_schema_end - lab_schema_begin)};
}

}  // namespace lab::api
