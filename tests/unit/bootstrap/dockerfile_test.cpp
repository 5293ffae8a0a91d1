#include <gtest/gtest.h>

#include "bootstrap/local/image_build.h"

namespace lab::bootstrap {
namespace {

using Names = std::vector<std::string>;

Names bases(const std::string& text, const Names& args = {}) {
  auto found = base_images(text, args);
  EXPECT_TRUE(found) << found.error().text();
  return found ? *found : Names();
}

TEST(Dockerfile, TellsTheImagesItIsMadeOf) {
  EXPECT_EQ(bases("FROM scratch\nCOPY a /\n"), Names());
  EXPECT_EQ(bases("# FROM x\n\nfrom busybox:1.35\nRUN echo FROM y\n"), Names{"busybox:1.35"});
  EXPECT_EQ(
      bases("FROM --platform=linux/amd64 \\\n  redis AS r\nFROM scratch\nCOPY --from=r /a /a\nCOPY --from=0 /b /b\n"),
      Names{"redis"});
  EXPECT_EQ(bases("FROM busybox\nCOPY --from=python:3 /usr /usr\nFROM busybox\n"), (Names{"busybox", "python:3"}));
}

TEST(Dockerfile, FillsInArguments) {
  const std::string text = "ARG BASE=busybox\nARG TAG=\"1.35\"\nFROM ${BASE}:$TAG\nARG BASE=other\n";
  EXPECT_EQ(bases(text), Names{"busybox:1.35"});
  EXPECT_EQ(bases(text, {"BASE=redis", "TAG=7"}), Names{"redis:7"});
}

TEST(Dockerfile, WithoutABaseIsRefused) {
  EXPECT_FALSE(base_images("RUN true\n", {}));
  EXPECT_FALSE(base_images("FROM\n", {}));
  EXPECT_FALSE(base_images("", {}));
}

TEST(Dockerfile, FullNames) {
  EXPECT_EQ(full_image_name("hello"), "docker.io/library/hello:latest");
  EXPECT_EQ(full_image_name("me/hello:v1"), "docker.io/me/hello:v1");
  EXPECT_EQ(full_image_name("registry:5000/x"), "registry:5000/x:latest");
  EXPECT_EQ(full_image_name("localhost/x@sha256:00"), "localhost/x@sha256:00");
}

}  // namespace
}  // namespace lab::bootstrap
