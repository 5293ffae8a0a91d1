// Nft: nftables rulesets through libnftables, in this process.
//
// A script in nft(8)'s language is one transaction: all of it takes effect at once, or nothing. A handle belongs for
// life to the network namespace of the thread that opened it; one call at a time in the whole process (the library's
// parser is not re-entrant), which run() sees to itself.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace lab {

class Nft {
 public:
  static Result<Nft> open();
  Nft(Nft&&) noexcept;
  Nft& operator=(Nft&&) noexcept;
  ~Nft();

  // Applies the script, or answers its `list` commands. The error says which line of it was refused and why.
  Result<std::string> run(const std::string& script);
  // The same with answers as JSON text (libnftables-json(5)).
  Result<std::string> run_json(const std::string& script);
  // Removes a table of the family ("ip", "inet", ...) with all it holds; absent is fine.
  Result<void> delete_table(const std::string& family, const std::string& name);

 private:
  struct Context;
  explicit Nft(std::unique_ptr<Context> context);
  std::unique_ptr<Context> context_;
};

}  // namespace lab
