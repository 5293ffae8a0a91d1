// hasher: the SHA-256 of what is posted to it, as hexadecimal text. Serves many at a time.
#define OPENSSL_SUPPRESS_DEPRECATED   // the plain functions keep a static program small
#include <openssl/sha.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "labs/dockercoins/src/net.h"

namespace {

constexpr auto kWork = std::chrono::milliseconds(100);

std::string sha256_hex(const std::string& bytes) {
  SHA256_CTX context;
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256_Init(&context);
  SHA256_Update(&context, bytes.data(), bytes.size());
  SHA256_Final(digest, &context);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (unsigned char c : digest) {
    out += kDigits[c >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

coins::Response handle(const coins::Request& request) {
  if (request.method != "POST") return {.body = "HASHER running on " + coins::host_name() + "\n"};
  std::this_thread::sleep_for(kWork);
  return {.body = sha256_hex(request.body)};
}

}  // namespace

int main(int argc, char** argv) { coins::serve(argc > 1 ? std::atoi(argv[1]) : 80, true, handle); }
