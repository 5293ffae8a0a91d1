#include "join/vm/image.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "base/crypto/encoding.h"
#include "base/fs.h"

namespace lab::join::vm {
namespace {

const std::string kHead = std::string("QFI\xfb\0\0\0\3", 8) + std::string(16, '\0') +
                          std::string("\0\0\0\2\0\0\0\0", 8) + std::string(480, '\0');

class ImageTest : public testing::Test {
 protected:
  ImageTest() {
    char name[] = "/tmp/lab-image-XXXXXX";
    directory_ = ::mkdtemp(name);
    write("debian/disk.qcow2", kHead);
    write("debian/vmlinuz", "kernel");
    write("debian/initrd", "initrd");
    auto sum = [](const std::string& text) { return crypto::hex_encode(crypto::sha256(text)); };
    write("debian/image.json",
          "{\"suite\":\"bookworm\",\"made\":\"2024-01-01T00:00:00Z\",\"sha256\":{\"disk.qcow2\":\"" + sum(kHead) +
              "\",\"vmlinuz\":\"" + sum("kernel") + "\",\"initrd\":\"" + sum("initrd") + "\"}}");
  }
  ~ImageTest() override { (void)fs::remove_all(directory_); }
  void write(const std::string& path, const std::string& content) {
    const std::string full = fs::join(directory_, path);
    EXPECT_TRUE(fs::make_dirs(full.substr(0, full.rfind('/'))));
    EXPECT_TRUE(fs::write_file(full, content));
  }
  std::string refusal(const std::string& name) {
    auto image = open_image(name, directory_);
    EXPECT_FALSE(image) << name;
    return image ? "" : image.error().message + " | " + image.error().hint;
  }
  std::string directory_;
};

TEST_F(ImageTest, AWholeOneIsOpened) {
  auto image = open_image("debian", directory_);
  ASSERT_TRUE(image) << image.error().text();
  EXPECT_EQ(image->format, "qcow2");
  EXPECT_EQ(image->bytes, 2ull << 32);
  EXPECT_EQ(image->kernel, fs::join(directory_, "debian/vmlinuz"));
  ASSERT_EQ(list_images(directory_)->size(), 1u);
  EXPECT_EQ(list_images(directory_)->front().suite, "bookworm");
}

TEST_F(ImageTest, ADamagedOneIsNamed) {
  std::string flipped = kHead;
  flipped[400] = 1;
  write("debian/disk.qcow2", flipped);
  EXPECT_NE(refusal("debian").find("disk.qcow2 is not what it was"), std::string::npos);
  write("debian/disk.qcow2", kHead.substr(0, 100));
  EXPECT_NE(refusal("debian").find("lab vm image build"), std::string::npos);
  ASSERT_TRUE(fs::remove_file(fs::join(directory_, "debian/disk.qcow2")));
  EXPECT_NE(refusal("debian").find("disk.qcow2 is missing"), std::string::npos);
  write("debian/image.json", "{\"sha");
  EXPECT_NE(refusal("debian").find("image.json cannot be read"), std::string::npos);
}

TEST_F(ImageTest, AnAbsentOneSaysHowToMakeIt) {
  EXPECT_NE(refusal("other").find("lab vm image build other"), std::string::npos);
  EXPECT_NE(refusal("a b").find("no name"), std::string::npos);
}

TEST_F(ImageTest, FilesAreKnownByTheirHeads) {
  write("cloud.qcow2", kHead);
  write("raw.img", std::string(510, '\0') + "\x55\xaa" + std::string(1 << 20, '\0'));
  write("text.txt", std::string(2000, 'x'));
  write("empty", "");
  EXPECT_EQ(open_image(fs::join(directory_, "cloud.qcow2"), directory_)->format, "qcow2");
  auto raw = open_image(fs::join(directory_, "raw.img"), directory_);
  ASSERT_TRUE(raw);
  EXPECT_EQ(raw->format, "raw");
  EXPECT_EQ(raw->bytes, 512u + (1 << 20));
  for (const char* file : {"text.txt", "empty"})
    EXPECT_NE(refusal(fs::join(directory_, file)).find("is no disk of a machine"), std::string::npos) << file;
  EXPECT_NE(refusal(fs::join(directory_, "absent.qcow2")).find("absent.qcow2"), std::string::npos);
}

TEST_F(ImageTest, DeletingMayBeRepeated) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(delete_image("debian", directory_));
  EXPECT_TRUE(list_images(directory_)->empty());
  EXPECT_FALSE(delete_image("../x", directory_));
}

}  // namespace
}  // namespace lab::join::vm
