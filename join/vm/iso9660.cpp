#include "join/vm/iso9660.h"

#include <algorithm>
#include <cstdint>

namespace lab::join::vm {

namespace {

constexpr std::size_t kSector = 2048;
// Sectors: 16 the volume descriptor, 17 the end of descriptors, 18 and 19 the path tables, 20 the directory, 21 what
// the directory's first entry has no room for, 22 and on the files.
constexpr std::uint32_t kPathTableL = 18, kPathTableM = 19, kRoot = 20, kContinuation = 21, kFirstFile = 22;
constexpr std::size_t kPathTableSize = 10;
constexpr std::size_t kLongestName = 64, kLargestFile = 1 << 20;

void put_le16(std::string& out, std::uint16_t v) {
  out += static_cast<char>(v & 0xff);
  out += static_cast<char>(v >> 8);
}
void put_be16(std::string& out, std::uint16_t v) {
  out += static_cast<char>(v >> 8);
  out += static_cast<char>(v & 0xff);
}
void put_le32(std::string& out, std::uint32_t v) {
  put_le16(out, static_cast<std::uint16_t>(v & 0xffff));
  put_le16(out, static_cast<std::uint16_t>(v >> 16));
}
void put_be32(std::string& out, std::uint32_t v) {
  put_be16(out, static_cast<std::uint16_t>(v >> 16));
  put_be16(out, static_cast<std::uint16_t>(v & 0xffff));
}
// "Both-byte orders" (ECMA-119 7.2.3, 7.3.3).
void put_both16(std::string& out, std::uint16_t v) {
  put_le16(out, v), put_be16(out, v);
}
void put_both32(std::string& out, std::uint32_t v) {
  put_le32(out, v), put_be32(out, v);
}
void put_text(std::string& out, std::string text, std::size_t width) {
  text.resize(width, ' ');
  out += text;
}
void pad_to(std::string& out, std::size_t size) {
  out.resize(size, '\0');
}

// 1 January 2024, 0:00 UTC: the same input makes the same bytes.
void put_short_date(std::string& out) {
  out += std::string("\x7c\x01\x01\x00\x00\x00\x00", 7);
}
void put_long_date(std::string& out) {
  out += "2024010100000000" + std::string(1, '\0');
}
void put_no_date(std::string& out) {
  out += std::string(16, '0') + std::string(1, '\0');
}

// System use entries (SUSP, Rock Ridge).
std::string posix_attributes(std::uint32_t mode, std::uint32_t links) {
  std::string px = "PX";
  px += static_cast<char>(36);
  px += '\1';
  for (std::uint32_t value : {mode, links, 0u, 0u}) put_both32(px, value);  // mode, links, uid, gid
  return px;
}
std::string alternate_name(const std::string& name) {
  std::string nm = "NM";
  nm += static_cast<char>(5 + name.size());
  nm += '\1';
  nm += '\0';
  return nm + name;
}
std::string sharing_protocol() {
  return std::string("SP\x07\x01\xbe\xef\x00", 7);
}
std::string continued(std::uint32_t size) {
  std::string ce = "CE";
  ce += static_cast<char>(28);
  ce += '\1';
  put_both32(ce, kContinuation);
  put_both32(ce, 0);
  put_both32(ce, size);
  return ce;
}
// Says that Rock Ridge is what follows the protocol above (SUSP 5.5).
std::string extension_reference() {
  const std::string id = "RRIP_1991A",
                    text = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
  const std::string source = "SEE PUBLISHER IDENTIFICATION IN PRIMARY VOLUME DESCRIPTOR";
  std::string er = "ER";
  er += static_cast<char>(8 + id.size() + text.size() + source.size());
  er += '\1';
  for (auto size : {id.size(), text.size(), source.size()}) er += static_cast<char>(size);
  er += '\1';
  return er + id + text + source;
}

// ECMA-119 9.1.
std::string directory_record(const std::string& id, std::uint32_t sector, std::uint32_t size, bool directory,
                             const std::string& system_use) {
  std::string body;
  body += '\0';  // no extended attributes
  put_both32(body, sector);
  put_both32(body, size);
  put_short_date(body);
  body += static_cast<char>(directory ? 2 : 0);
  body += std::string(2, '\0');  // not interleaved
  put_both16(body, 1);
  body += static_cast<char>(id.size());
  body += id;
  if (id.size() % 2 == 0) body += '\0';
  body += system_use;
  if (body.size() % 2 == 0) body += '\0';
  return static_cast<char>(body.size() + 1) + body;
}

std::string volume_descriptor(const std::string& label, std::uint32_t sectors) {
  std::string out = std::string("\1CD001\1\0", 8);
  put_text(out, "LINUX", 32);
  put_text(out, label, 32);
  out += std::string(8, '\0');
  put_both32(out, sectors);
  out += std::string(32, '\0');
  put_both16(out, 1);  // of one disk
  put_both16(out, 1);  // the first
  put_both16(out, kSector);
  put_both32(out, kPathTableSize);
  put_le32(out, kPathTableL);
  put_le32(out, 0);
  put_be32(out, kPathTableM);
  put_be32(out, 0);
  out += directory_record(std::string(1, '\0'), kRoot, kSector, true, "");
  put_text(out, "", 128);  // volume set
  put_text(out, "LAB", 128);
  put_text(out, "LAB", 128);
  put_text(out, "LAB", 128);
  put_text(out, "", 37 * 3);
  put_long_date(out);
  put_long_date(out);
  put_no_date(out);
  put_no_date(out);
  out += '\1';
  pad_to(out, kSector);
  return out;
}

std::string path_table(bool little) {
  std::string out = std::string("\1\0", 2);
  little ? put_le32(out, kRoot) : put_be32(out, kRoot);
  little ? put_le16(out, 1) : put_be16(out, 1);
  out += std::string(2, '\0');  // the root's name, and padding
  pad_to(out, kSector);
  return out;
}

std::uint32_t sectors_of(std::size_t bytes) {
  return static_cast<std::uint32_t>((bytes + kSector - 1) / kSector);
}

// Names by which systems without Rock Ridge know the files.
std::string plain_id(std::size_t index) {
  std::string digits = std::to_string(index);
  return "FILE" + std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits + ".;1";
}

Result<void> check(const std::string& label, const std::vector<IsoFile>& files) {
  if (label.empty() || label.size() > 32)
    return fail(Code::kInvalid, "\"" + label + "\" is no label of an ISO 9660 volume");
  for (const auto& f : files) {
    bool ok = !f.name.empty() && f.name.size() <= kLongestName;
    for (unsigned char c : f.name) ok = ok && (std::isalnum(c) || c == '.' || c == '_' || c == '-');
    if (!ok) return fail(Code::kInvalid, "\"" + f.name + "\" is no name for a file of a seed");
    if (f.content.size() > kLargestFile)
      return fail(Code::kTooLarge, f.name + " is too large for a seed: at most 1 MiB");
  }
  return {};
}

}  // namespace

Result<std::string> iso9660_image(const std::string& label, const std::vector<IsoFile>& files) {
  LAB_CHECK(check(label, files));
  constexpr std::uint32_t kDirectoryMode = 0040555, kFileMode = 0100000;
  const std::string reference = extension_reference();
  const std::string here = posix_attributes(kDirectoryMode, 2);
  std::string root =
      directory_record(std::string(1, '\0'), kRoot, kSector, true,
                       sharing_protocol() + here + continued(static_cast<std::uint32_t>(reference.size())));
  root += directory_record(std::string(1, '\1'), kRoot, kSector, true, here);
  std::uint32_t next = kFirstFile;
  std::string data;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto& f = files[i];
    root += directory_record(plain_id(i), f.content.empty() ? 0 : next, static_cast<std::uint32_t>(f.content.size()),
                             false, posix_attributes(kFileMode | (f.mode & 0777), 1) + alternate_name(f.name));
    if (root.size() > kSector) return fail(Code::kTooLarge, "a seed has no room for the file " + f.name);
    next += sectors_of(f.content.size());
    data += f.content;
    pad_to(data, sectors_of(data.size()) * kSector);
  }
  std::string out(16 * kSector, '\0');
  out += volume_descriptor(label, next);
  out += std::string(
      "\xff"
      "CD001\1",
      7);  // the end of descriptors
  pad_to(out, kPathTableL * kSector);
  out += path_table(true) + path_table(false) + root;
  pad_to(out, kContinuation * kSector);
  out += reference;
  pad_to(out, kFirstFile * kSector);
  return out + data;
}

}  // namespace lab::join::vm
