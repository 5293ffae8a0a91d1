// The archive, judged by tar and sha256sum; and the script that unpacks it, by cutting it anywhere.
#include "join/ssh/bundle.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>

#include "base/fs.h"
#include "base/subprocess.h"

namespace lab::join::ssh {
namespace {

struct Place {
  std::string dir;
  Place() {
    char text[] = "/tmp/lab-bundle-XXXXXX";
    dir = ::mkdtemp(text);
  }
  ~Place() { (void)fs::remove_all(dir); }
  std::string operator/(const std::string& name) const { return fs::join(dir, name); }
};

void write(const std::string& path, const std::string& content) {
  ASSERT_TRUE(fs::make_dirs(path.substr(0, path.rfind('/'))));
  ASSERT_TRUE(fs::write_file(path, content));
}

std::string whole(const Bundle& b, bool images) {
  std::string out;
  for (auto part : b.archive(images)) out += part;
  return out;
}

Result<Bundle> sample(const Place& p) {
  write(p / "bin", "#!/bin/sh\necho runs\n");
  write(p / "libx.so.1", std::string(1000, 'x'));
  write(p / "share/apps/a.yaml", "a\n");
  write(p / "share/empty", "");
  write(p / "share/images/all.tar", std::string(5000, 'i'));
  return make_bundle({.binary = p / "bin", .libraries = {p / "libx.so.1"}, .share = p / "share"});
}

TEST(Bundle, TarAndSha256sumTakeIt) {
  Place p;
  auto bundle = sample(p);
  ASSERT_TRUE(bundle) << bundle.error().text();
  for (bool images : {true, false}) {
    const std::string out = p / (images ? "full" : "lean");
    ASSERT_TRUE(fs::make_dirs(out));
    auto done =
        run({.argv = {"sh", "-c",
                      "tar -xf - && sha256sum -c --quiet MANIFEST && find . -type f | sort | tr '\\n' ' ' && ./lab"},
             .stdin_text = whole(*bundle, images),
             .directory = out});
    ASSERT_TRUE(done);
    EXPECT_EQ(done->exit_code, 0) << done->err;
    EXPECT_EQ(done->out, std::string("./MANIFEST ./lab ./lib/libx.so.1 ./share/apps/a.yaml ./share/empty ") +
                             (images ? "./share/images/all.tar " : "") + "runs\n");
    EXPECT_EQ(bundle->size(images), whole(*bundle, images).size());
  }
}

TEST(Bundle, IdIsOfTheContentAlone) {
  Place p, q;
  auto a = sample(p), b = sample(q);
  EXPECT_EQ(a->id, b->id) << "places and times do not count";
  EXPECT_EQ(whole(*a, true), whole(*b, true));
  write(q / "share/apps/a.yaml", "b\n");
  auto c = make_bundle({.binary = q / "bin", .libraries = {q / "libx.so.1"}, .share = q / "share"});
  EXPECT_NE(a->id, c->id);
}

TEST(Bundle, ACutOneIsNeverWhole) {
  Place p;
  auto bundle = sample(p);
  const std::string all = whole(*bundle, true);
  // On every boundary of blocks, where tar itself may see nothing amiss, and in between.
  for (std::size_t at = 0; at + bundle->full_end.size() <= all.size(); at += 256) {
    const std::string out = p / ("cut" + std::to_string(at));
    ASSERT_TRUE(fs::make_dirs(out));
    auto done = run({.argv = {"sh", "-c", "tar -xf - 2>/dev/null; [ -e MANIFEST ] && sha256sum -c --status MANIFEST"},
                     .stdin_text = all.substr(0, at),
                     .directory = out});
    ASSERT_TRUE(done);
    EXPECT_NE(done->exit_code, 0) << "cut after " << at << " bytes";
  }
}

TEST(Bundle, LibrariesOfThisProcess) {
  auto libraries = own_libraries();
  bool standard = false;
  for (const auto& path : libraries) {
    EXPECT_TRUE(fs::exists(path)) << path;
    EXPECT_EQ(path.find("/libc.so"), std::string::npos) << "the C library is the host's own";
    standard = standard || path.find("libstdc++") != std::string::npos;
  }
  EXPECT_TRUE(standard);
}

}  // namespace
}  // namespace lab::join::ssh
