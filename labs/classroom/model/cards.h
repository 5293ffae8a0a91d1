// Login cards: a page to be printed and cut, one card a student with name, link, QR code and how to begin.
#pragma once

#include <string>

#include "labs/classroom/model/class.h"

namespace lab::classroom {

// "http://192.168.1.5:8080/s/SECRET"; the teacher's with an empty student.
std::string link_of(const std::string& url, const Class& one, const Student* student);

// HTML that needs nothing beside itself: ten cards on a sheet of A4. `language` "en" or "es"; `url` is where students
// reach the page, without a slash at its end. Invalid when it is no http address.
Result<std::string> cards_html(const Class& one, const std::string& url, const std::string& language);
// Takes what is no web address' beginning as Invalid, and a slash at its end away.
Result<std::string> check_url(const std::string& url);

std::string html_escaped(const std::string& text);

}  // namespace lab::classroom
