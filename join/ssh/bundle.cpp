#include "join/ssh/bundle.h"

#include <link.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"

namespace lab::join::ssh {

namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kIdLength = 16;

// Those of the C library belong to the host: its loader only works with its own.
constexpr const char* kHostsOwn[] = {"ld-linux", "libc.",      "libm.",   "libpthread.", "libdl.",
                                     "librt.",   "libresolv.", "libnss_", "linux-vdso"};

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

// POSIX.1-1988 ustar header. Owner and time are left zero: the same content makes the same bytes.
std::string header(const std::string& name, std::size_t size, unsigned mode) {
  std::array<char, kBlock> h{};
  std::snprintf(h.data(), 100, "%s", name.c_str());
  std::snprintf(h.data() + 100, 8, "%07o", mode);
  std::snprintf(h.data() + 108, 8, "%07o", 0u);
  std::snprintf(h.data() + 116, 8, "%07o", 0u);
  std::snprintf(h.data() + 124, 12, "%011llo", static_cast<unsigned long long>(size));
  std::snprintf(h.data() + 136, 12, "%011o", 0u);
  std::memset(h.data() + 148, ' ', 8);
  h[156] = '0';
  std::memcpy(h.data() + 257, "ustar\00000", 8);
  unsigned sum = 0;
  for (unsigned char c : h) sum += c;
  std::snprintf(h.data() + 148, 8, "%06o", sum);
  return {h.data(), h.size()};
}

struct Writer {
  std::string tar, manifest;

  Result<void> add_file(const std::string& path, const std::string& name, unsigned mode) {
    LAB_TRY(auto content, fs::read_file(path));
    manifest += crypto::hex_encode(crypto::sha256(content)) + "  " + name + "\n";
    return add(name, content, mode);
  }

  Result<void> add(const std::string& name, const std::string& content, unsigned mode) {
    if (name.size() >= 100) return fail(Code::kInvalid, "the name " + name + " is too long for the archive");
    tar += header(name, content.size(), mode);
    tar += content;
    tar.append((kBlock - content.size() % kBlock) % kBlock, '\0');
    return {};
  }

  Result<void> add_tree(const std::string& directory, const std::string& name) {
    LAB_TRY(auto entries, fs::list_dir(directory));
    for (const auto& entry : entries) {
      const std::string path = fs::join(directory, entry), inside = fs::join(name, entry);
      struct stat st;
      if (::stat(path.c_str(), &st) != 0) return fail_errno("read " + path);
      if (S_ISDIR(st.st_mode)) {
        if (inside == "share/images") continue;
        LAB_CHECK(add_tree(path, inside));
      } else if (S_ISREG(st.st_mode)) {
        LAB_CHECK(add_file(path, inside, 0644));
      }
    }
    return {};
  }
};

// Last: an archive that was cut has no manifest, and does not pass for whole.
Result<std::string> end_of_archive(const std::string& manifest) {
  Writer w;
  LAB_CHECK(w.add("MANIFEST", manifest, 0644));
  w.tar.append(2 * kBlock, '\0');
  return std::move(w.tar);
}

int remember_library(dl_phdr_info* info, std::size_t, void* out) {
  const std::string path = info->dlpi_name ? info->dlpi_name : "";
  const std::string name = base_name(path);
  const bool hosts =
      std::any_of(std::begin(kHostsOwn), std::end(kHostsOwn), [&](const char* p) { return name.starts_with(p); });
  if (!name.empty() && name.find(".so") != std::string::npos && !hosts)
    static_cast<std::vector<std::string>*>(out)->push_back(path);
  return 0;
}

}  // namespace

std::vector<std::string> own_libraries() {
  std::vector<std::string> out;
  ::dl_iterate_phdr(remember_library, &out);
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string_view> Bundle::archive(bool with_images) const {
  if (with_images) return {program, images, full_end};
  return {program, lean_end};
}

std::size_t Bundle::size(bool with_images) const {
  std::size_t out = 0;
  for (auto part : archive(with_images)) out += part.size();
  return out;
}

Result<Bundle> make_bundle(const BundleSource& source) {
  Writer program, images;
  LAB_CHECK(program.add_file(source.binary, "lab", 0755));
  for (const auto& library : source.libraries) LAB_CHECK(program.add_file(library, "lib/" + base_name(library), 0755));
  if (fs::exists(source.share)) LAB_CHECK(program.add_tree(source.share, "share"));
  if (const auto dir = fs::join(source.share, "images"); fs::exists(dir))
    LAB_CHECK(images.add_tree(dir, "share/images"));
  const std::string all = program.manifest + images.manifest;
  LAB_TRY(auto lean_end, end_of_archive(program.manifest));
  LAB_TRY(auto full_end, end_of_archive(all));
  return Bundle{.id = crypto::hex_encode(crypto::sha256(all)).substr(0, kIdLength),
                .program = std::move(program.tar),
                .images = std::move(images.tar),
                .lean_end = std::move(lean_end),
                .full_end = std::move(full_end)};
}

}  // namespace lab::join::ssh
