// The node drivers that stand above bootstrap/local.
#pragma once

namespace lab::cli {

void add_drivers();  // once, before any command runs

}  // namespace lab::cli
