// Login cards: whole HTML that a hostile name does not break, and codes that another program reads.
#include "labs/classroom/model/cards.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <regex>

#include "base/subprocess.h"
#include "labs/classroom/model/qr.h"

namespace lab::classroom {
namespace {

Class demo(std::size_t students) {
  Class c{.name = "demo", .teacher_secret = new_secret()};
  for (std::size_t i = 1; i <= students; ++i) c.students.push_back(new_student("demo", i, ""));
  return c;
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t n = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

// The SVG drawn in gray, `scale` pixels a module.
struct Picture {
  unsigned side = 0;
  std::string pixels;
};
Picture draw(const std::string& svg, unsigned scale) {
  std::smatch box;
  if (!std::regex_search(svg, box, std::regex("viewBox=\"0 0 ([0-9]+) "))) return {};
  Picture out{.side = static_cast<unsigned>(std::stoul(box[1])) * scale};
  out.pixels.assign(std::size_t{out.side} * out.side, '\xff');
  const std::regex run("M([0-9]+) ([0-9]+)h([0-9]+)v1h-[0-9]+z");
  for (std::sregex_iterator it(svg.begin(), svg.end(), run), end; it != end; ++it) {
    const unsigned x = static_cast<unsigned>(std::stoul((*it)[1])) * scale,
                   y = static_cast<unsigned>(std::stoul((*it)[2])) * scale,
                   w = static_cast<unsigned>(std::stoul((*it)[3])) * scale;
    for (unsigned row = y; row < y + scale; ++row) std::memset(&out.pixels[std::size_t{row} * out.side + x], 0, w);
  }
  return out;
}

// What libzbar sees in it. Loaded by name: its headers would bring ImageMagick's.
std::string decoded(const Picture& picture) {
  void* lib = ::dlopen("libzbar.so.0", RTLD_NOW);
  if (!lib) return std::string("libzbar0 is not installed: ") + ::dlerror();
  auto call = [&](const char* name) { return ::dlsym(lib, name); };
  const auto scanner = reinterpret_cast<void* (*)()>(call("zbar_image_scanner_create"))();
  const auto image = reinterpret_cast<void* (*)()>(call("zbar_image_create"))();
  constexpr unsigned long kGray = 'Y' | '8' << 8 | '0' << 16 | '0' << 24;
  reinterpret_cast<void (*)(void*, unsigned long)>(call("zbar_image_set_format"))(image, kGray);
  reinterpret_cast<void (*)(void*, unsigned, unsigned)>(call("zbar_image_set_size"))(image, picture.side, picture.side);
  reinterpret_cast<void (*)(void*, const void*, unsigned long, void*)>(call("zbar_image_set_data"))(
      image, picture.pixels.data(), picture.pixels.size(), nullptr);
  reinterpret_cast<int (*)(void*, void*)>(call("zbar_scan_image"))(scanner, image);
  const auto symbol = reinterpret_cast<const void* (*)(const void*)>(call("zbar_image_first_symbol"))(image);
  const std::string out =
      symbol ? reinterpret_cast<const char* (*)(const void*)>(call("zbar_symbol_get_data"))(symbol) : "";
  reinterpret_cast<void (*)(void*)>(call("zbar_image_destroy"))(image);
  reinterpret_cast<void (*)(void*)>(call("zbar_image_scanner_destroy"))(scanner);
  return out;
}

TEST(Qr, AnotherProgramReadsIt) {
  for (const std::string& text : {std::string("http://192.168.1.5:8080/s/abcdefghijklmnopqrstuvwxyz"),
                                 std::string("https://school.example/s/") + std::string(150, 'q')}) {
    auto svg = qr_svg(text);
    ASSERT_TRUE(svg) << svg.error().text();
    EXPECT_EQ(decoded(draw(*svg, 4)), text);
  }
}

TEST(Qr, TooMuchIsRefused) {
  auto svg = qr_svg(std::string(5000, 'x'));
  ASSERT_FALSE(svg);
  EXPECT_EQ(svg.error().code, Code::kTooLarge);
}

TEST(Cards, EachStudentHasOneAndItsCodeIsTheLink) {
  const Class c = demo(12);
  auto page = cards_html(c, "http://10.1.2.3:8080/", "en");
  ASSERT_TRUE(page) << page.error().text();
  EXPECT_EQ(count(*page, "<section class=\"card\">"), 12u);
  EXPECT_EQ(count(*page, "<div class=\"sheet\">"), 2u) << "ten on a sheet";
  EXPECT_NE(page->find("break-after: page"), std::string::npos);
  EXPECT_EQ(page->find("http://10.1.2.3:8080//s/"), std::string::npos);
  EXPECT_EQ(page->find(c.teacher_secret), std::string::npos) << "the teacher's link is on nobody's card";
  std::size_t at = 0;
  for (const auto& s : c.students) {
    const std::string link = "http://10.1.2.3:8080/s/" + s.secret;
    EXPECT_EQ(count(*page, link), 1u);
    at = page->find("<svg", at);
    const auto end = page->find("</svg>", at);
    ASSERT_NE(end, std::string::npos);
    EXPECT_EQ(decoded(draw(page->substr(at, end - at), 4)), link);
    at = end;
  }
}

TEST(Cards, SpeakTheClasssLanguage) {
  const Class c = demo(1);
  EXPECT_NE(cards_html(c, "http://a:1", "en")->find("Scan the code"), std::string::npos);
  const std::string spanish = *cards_html(c, "http://a:1", "es");
  EXPECT_NE(spanish.find("Escanea el código"), std::string::npos);
  EXPECT_NE(spanish.find("<html lang=\"es\">"), std::string::npos);
}

// An XML reader takes the body: nothing that a name holds opens or closes anything.
TEST(Cards, AHostileNameIsText) {
  Class c = demo(2);
  c.students[0].title = "<script>alert('1')</script> & \"Bobby\"";
  auto page = cards_html(c, "http://a:1", "en");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->find("<script"), std::string::npos);
  const auto from = page->find("<body>"), to = page->find("</body>");
  ASSERT_NE(to, std::string::npos);
  std::string body = page->substr(from, to + 7 - from);
  for (auto at = body.find("&middot;"); at != std::string::npos; at = body.find("&middot;")) body.replace(at, 8, "-");
  auto read = run(
      {.argv =
           {"python3", "-c",
            "import sys, xml.etree.ElementTree as E; print(E.fromstring(sys.stdin.buffer.read()).find('.//h2').text)"},
       .stdin_text = body,
       .timeout = std::chrono::minutes(1)});
  ASSERT_TRUE(read && read->ok()) << (read ? read->err : read.error().text());
  EXPECT_EQ(read->out, c.students[0].title + "\n");
}

TEST(Cards, ABaseThatIsNoAddressIsRefused) {
  for (const char* good : {"http://10.0.0.1", "https://school.example:8443/", "http://[fd00::1]:8080"})
    EXPECT_TRUE(check_url(good)) << good;
  for (const char* bad : {"", "10.0.0.1:80", "ftp://x", "http://", "http://a b", "http://a/\"><script>",
                          "http://a/path", "javascript:alert(1)", "http://a?x", "http://a\n"})
    EXPECT_FALSE(check_url(bad)) << bad;
}

}  // namespace
}  // namespace lab::classroom
