// Files, with errors that name the path and the reason. Blocking; use a Pool from coroutines.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lab::fs {

Result<std::string> read_file(const std::string& path);
bool exists(const std::string& path);
// Writes PATH.tmp-XXXX beside it, syncs, and renames: readers see the old content or the new, never a half.
Result<void> write_file(const std::string& path, std::string_view content, unsigned mode = 0644);
// Opens and writes in place: for /proc, /sys and cgroup files.
Result<void> write_in_place(const std::string& path, std::string_view content);
Result<void> append_file(const std::string& path, std::string_view content, unsigned mode = 0644);
Result<void> make_dirs(const std::string& path, unsigned mode = 0755);   // with parents
// Absent is fine. Never crosses a mount point, bind mounts included: one below is an error that names it, and a PATH
// that is itself one is emptied and stays.
Result<void> remove_all(const std::string& path);
Result<void> remove_file(const std::string& path);   // absent is fine
Result<std::vector<std::string>> list_dir(const std::string& path);   // names, sorted, without . and ..
Result<void> copy_file(const std::string& from, const std::string& to, unsigned mode = 0644);
Result<void> symlink(const std::string& target, const std::string& path);   // replaces a link that is there
Result<std::uint64_t> free_bytes(const std::string& path);
std::string join(std::string_view a, std::string_view b);   // one slash between
std::string self_exe();   // path of the running binary

}  // namespace lab::fs
