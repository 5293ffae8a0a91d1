// The seed as other programs read it: libarchive reads the image, ssh-keygen the keys.
#include "join/vm/seed.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/subprocess.h"
#include "base/yaml/yaml.h"

namespace lab::join::vm {
namespace {

class Directory {
 public:
  Directory() {
    char name[] = "/tmp/lab-seed-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~Directory() { (void)fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return fs::join(path_, name); }

 private:
  std::string path_;
};

std::string output(std::vector<std::string> argv) {
  auto done = run({.argv = std::move(argv)});
  EXPECT_TRUE(done && done->ok()) << (done ? done->err : done.error().text());
  return done ? done->out : "";
}

SeedFacts facts() {
  return {.instance = "lab-1",
          .hostname = "w1",
          .host_key = make_ssh_key("root@w1"),
          .authorized_key = make_ssh_key("lab-vm").public_line};
}

TEST(Seed, ItsFilesAreReadWithTheirNamesAndModes) {
  Directory dir;
  const auto f = facts();
  auto image = seed_image(f);
  ASSERT_TRUE(image);
  EXPECT_EQ(image->size() % 2048, 0u);
  ASSERT_TRUE(fs::write_file(dir / "seed.iso", *image));
  const auto listed = output({"bsdtar", "-tvf", dir / "seed.iso"});
  for (const char* name :
       {"meta-data", "user-data", "hostname", "ssh_host_ed25519_key", "ssh_host_ed25519_key.pub", "authorized_keys"})
    EXPECT_NE(listed.find(name), std::string::npos) << listed;
  EXPECT_NE(listed.find("-r--------"), std::string::npos) << "keys are for root alone: " << listed;
  for (const auto& file : seed_files(f))
    EXPECT_EQ(output({"bsdtar", "-xOf", dir / "seed.iso", file.name}), file.content) << file.name;
}

TEST(Seed, TheLabelIsWhatCloudInitLooksFor) {
  auto image = seed_image(facts());
  ASSERT_TRUE(image);
  Directory dir;
  ASSERT_TRUE(fs::write_file(dir / "seed.iso", *image));
  EXPECT_EQ(output({"blkid", "-p", "-o", "value", "-s", "LABEL", "-s", "TYPE", dir / "seed.iso"}), "cidata\niso9660\n");
}

TEST(Seed, UserDataIsCloudConfigWithTheKeys) {
  const auto f = facts();
  std::string user, meta;
  for (const auto& file : seed_files(f)) {
    if (file.name == "user-data") user = file.content;
    if (file.name == "meta-data") meta = file.content;
  }
  EXPECT_TRUE(user.starts_with("#cloud-config\n"));
  auto config = yaml::parse(user);
  ASSERT_TRUE(config) << user;
  EXPECT_EQ(json::str(*config, "ssh_keys", "ed25519_private"), f.host_key.private_text);
  EXPECT_EQ(json::list(*config, "ssh_authorized_keys").size(), 1u);
  auto facts_of_instance = yaml::parse(meta);
  ASSERT_TRUE(facts_of_instance);
  EXPECT_EQ(json::str(*facts_of_instance, "instance-id"), "lab-1");
  EXPECT_EQ(json::str(*facts_of_instance, "local-hostname"), "w1");
}

TEST(Iso, EveryLengthOfContentAndNameSurvives) {
  Directory dir;
  std::vector<IsoFile> files{{.name = "a"},
                             {.name = "bb", .content = "x"},
                             {.name = "sector", .content = std::string(2048, 's')},
                             {.name = "more", .content = std::string(2049, 'm')},
                             {.name = std::string(64, 'n'), .content = "long"}};
  auto image = iso9660_image("L", files);
  ASSERT_TRUE(image);
  ASSERT_TRUE(fs::write_file(dir / "i.iso", *image));
  for (const auto& file : files)
    EXPECT_EQ(output({"bsdtar", "-xOf", dir / "i.iso", file.name}), file.content) << file.name;
  EXPECT_EQ(*iso9660_image("L", files), *image) << "the same files make the same image";
}

TEST(Iso, WhatDoesNotFitIsRefusedByName) {
  auto refused = [](const std::string& label, IsoFile file, const std::string& word) {
    auto image = iso9660_image(label, {std::move(file)});
    ASSERT_FALSE(image);
    EXPECT_NE(image.error().message.find(word), std::string::npos) << image.error().message;
  };
  refused("L", {.name = "../x"}, "../x");
  refused("L", {.name = ""}, "no name");
  refused("L", {.name = std::string(65, 'n')}, "no name");
  refused("L", {.name = "big", .content = std::string((1 << 20) + 1, 'b')}, "big");
  refused("", {.name = "a"}, "label");
  std::vector<IsoFile> many;
  for (int i = 0; i < 40; ++i) many.push_back({.name = "file" + std::to_string(i) + std::string(40, 'n')});
  auto image = iso9660_image("L", many);
  ASSERT_FALSE(image);
  EXPECT_NE(image.error().message.find("no room"), std::string::npos);
}

TEST(SshKey, SshKeygenReadsItAndDerivesTheSamePublicKey) {
  Directory dir;
  // Comments of every length: the secret part is padded to whole blocks.
  for (std::size_t length : {0u, 1u, 5u, 7u, 8u, 13u}) {
    const SshKey key = make_ssh_key(std::string(length, 'c'));
    ASSERT_TRUE(fs::write_file(dir / "key", key.private_text, 0600));
    std::string said = output({"ssh-keygen", "-y", "-P", "", "-f", dir / "key"});
    while (!said.empty() && (said.back() == '\n' || said.back() == ' ')) said.pop_back();
    std::string expected = key.public_line;
    while (expected.ends_with(' ')) expected.pop_back();
    EXPECT_EQ(said, expected);
  }
  EXPECT_NE(make_ssh_key("x").public_line, make_ssh_key("x").public_line);
}

}  // namespace
}  // namespace lab::join::vm
