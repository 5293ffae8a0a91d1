#include "cli/confirm.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace lab::cli {

bool confirmed(const std::string& question, const std::string& flag) {
  if (!::isatty(STDIN_FILENO)) {
    std::fprintf(stderr, "%s Give %s to do it without a terminal.\n", question.c_str(), flag.c_str());
    return false;
  }
  std::printf("%s [y/N] ", question.c_str());
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace lab::cli
