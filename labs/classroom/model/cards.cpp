#include "labs/classroom/model/cards.h"

#include <algorithm>

#include "labs/classroom/model/qr.h"

namespace lab::classroom {

namespace {

struct Words {
  const char *title, *begin, *keep;
};
const Words& words_in(const std::string& language) {
  static const Words kEnglish{"Login cards",
                              "Scan the code, or type the address into a browser: your lab and the exercise are there.",
                              "The link is yours alone: whoever has it works in your lab."};
  static const Words kSpanish{
      "Tarjetas de acceso",
      "Escanea el código o escribe la dirección en un navegador: ahí están tu laboratorio y el ejercicio.",
      "El enlace es solo tuyo: quien lo tenga trabaja en tu laboratorio."};
  return language == "es" ? kSpanish : kEnglish;
}

constexpr const char* kStyle = R"(
@page { size: A4; margin: 10mm; }
* { box-sizing: border-box; }
body { font: 10pt/1.35 system-ui, sans-serif; color: #000; background: #fff; margin: 0 auto; max-width: 190mm; }
.sheet { display: grid; grid-template-columns: 1fr 1fr; grid-auto-rows: 54mm; break-after: page; }
.sheet:last-child { break-after: auto; }
.card { display: flex; gap: 4mm; border: 1px dashed #888; padding: 4mm; overflow: hidden; break-inside: avoid; }
.card h2 { font-size: 12pt; margin: 0; overflow-wrap: anywhere; }
.card p { margin: 1.5mm 0 0; font-size: 8pt; }
.card .class { color: #444; margin: 0; }
.card .link { font: 8pt/1.3 ui-monospace, monospace; overflow-wrap: anywhere; }
.card > div { flex: 1; min-width: 0; }
.qr { width: 34mm; height: 34mm; flex: none; align-self: center; }
)";
constexpr std::size_t kCardsOnSheet = 10;

Result<std::string> card(const Class& one, const Student& student, const std::string& url, const Words& words) {
  const std::string link = link_of(url, one, &student);
  LAB_TRY(auto code, qr_svg(link));
  return "<section class=\"card\"><div><p class=\"class\">" + html_escaped(one.name) + " &middot; " +
         html_escaped(student.name) + "</p><h2>" + html_escaped(student.title.empty() ? student.name : student.title) +
         "</h2><p class=\"link\">" + html_escaped(link) + "</p><p>" + words.begin + "</p><p>" + words.keep +
         "</p></div>" + code + "</section>\n";
}

}  // namespace

std::string html_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  return out;
}

std::string link_of(const std::string& url, const Class& one, const Student* student) {
  return url + (student ? "/s/" + student->secret : "/t/" + one.teacher_secret);
}

Result<std::string> check_url(const std::string& given) {
  std::string url = given;
  while (url.ends_with('/')) url.pop_back();
  const std::size_t scheme = url.starts_with("http://") ? 7 : url.starts_with("https://") ? 8 : 0;
  const bool plain = std::ranges::none_of(url, [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '<' || c == '>' || c == '?' || c == '#' ||
           c == '\\' || c == 0x7f;
  });
  if (scheme > 0 && url.size() > scheme && url.size() <= 200 && plain && url.find('/', scheme) == std::string::npos)
    return url;
  return fail(Code::kInvalid, "\"" + given + "\" is no address of a page", "as in: http://192.168.1.5:8080");
}

Result<std::string> cards_html(const Class& one, const std::string& given, const std::string& language) {
  LAB_TRY(auto url, check_url(given));
  const Words& words = words_in(language);
  std::string out = "<!doctype html>\n<html lang=\"" + std::string(language == "es" ? "es" : "en") +
                    "\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>" +
                    std::string(words.title) + ": " + html_escaped(one.name) + "</title><style>" + kStyle +
                    "</style></head><body>\n";
  for (std::size_t i = 0; i < one.students.size(); ++i) {
    if (i % kCardsOnSheet == 0) out += "<div class=\"sheet\">\n";
    LAB_TRY(auto text, card(one, one.students[i], url, words));
    out += text;
    if (i % kCardsOnSheet == kCardsOnSheet - 1 || i + 1 == one.students.size()) out += "</div>\n";
  }
  return out + "</body></html>\n";
}

}  // namespace lab::classroom
