// The command table: what `lab` can be told, as data. Parsing, --help, completions and the man page come from it alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lab::cli {

// Exit codes of every command.
inline constexpr int kDone = 0, kFailed = 1, kUsage = 2, kPreflight = 3;

struct Option {
  std::string name;                    // "token-ttl": given as --token-ttl
  std::string value;                   // what stands in help: "DURATION"; empty: a switch
  std::string help;
  std::string fallback;                // shown in help, returned by Invocation::get
  bool repeated = false;               // may be given several times, or as a comma-separated list
  std::string letter;                  // "o" for -o
  std::vector<std::string> choices;    // empty: anything
};

struct Argument {
  std::string name;                    // "NODE"
  std::string help;
  bool required = true;
  bool repeated = false;
};

class Invocation {
 public:
  bool has(std::string_view option) const;             // given on the command line
  bool flag(std::string_view option) const { return has(option); }
  std::string get(std::string_view option) const;      // given, or the fallback
  std::int64_t number(std::string_view option) const;
  std::vector<std::string> all(std::string_view option) const;
  std::string argument(std::size_t index, std::string fallback = {}) const;
  const std::vector<std::string>& arguments() const { return arguments_; }

  struct Given {
    std::string name;
    std::vector<std::string> values;
    bool present = false;
  };
  std::vector<Given> options_;
  std::vector<std::string> arguments_;
};

struct Command {
  std::string path;                    // "token create"
  std::string summary;                 // one line, no full stop
  std::string details;                 // paragraphs for --help and the man page; may hold examples
  std::vector<Argument> arguments;
  std::vector<Option> options;
  int (*run)(const Invocation&) = nullptr;   // null: a group such as "token"
  bool passes_rest = false;            // all that follows belongs to another program (kubectl, a node's shell)
  bool hidden = false;                 // daemons and helpers; still in the man page's last section
};

// All commands, in the order of --help. Composed in commands.cpp from one function per file.
const std::vector<Command>& commands();

// Parses and runs. `program` is how we were called (lab, kubeadm).
int run_command_line(const std::string& program, const std::vector<std::string>& args);

}  // namespace lab::cli
