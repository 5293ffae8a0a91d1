#include "cli/completion.h"

#include <cstdio>

#include "cli/groups.h"
#include "cli/report.h"

namespace lab::cli {

namespace {

using Table = std::vector<Command>;

std::string parent_of(const std::string& path) {
  auto space = path.rfind(' ');
  return space == std::string::npos ? "" : path.substr(0, space);
}
std::string last_word(const std::string& path) {
  return path.substr(path.rfind(' ') + 1);
}

std::vector<const Command*> below(const Table& table, const std::string& path) {
  std::vector<const Command*> out;
  for (const auto& c : table)
    if (!c.hidden && parent_of(c.path) == path) out.push_back(&c);
  return out;
}

// "'it'\''s'": one word of a POSIX shell, whatever it holds.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// fish knows two escapes inside single quotes: \' and \\.
std::string fish_quoted(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += (c == '\'' || c == '\\' ? "\\" : "") + std::string(1, c);
  return out + "'";
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& w : words) out += (out.empty() ? "" : " ") + w;
  return out;
}

std::vector<std::string> names_of(const Option& o) {
  std::vector<std::string> out{"--" + o.name};
  if (!o.letter.empty()) out.push_back("-" + o.letter);
  return out;
}

// The groups: "" and every command that has others below it.
std::vector<std::string> groups_of(const Table& table) {
  std::vector<std::string> out{""};
  for (const auto& c : table)
    if (!c.hidden && !below(table, c.path).empty()) out.push_back(c.path);
  return out;
}

// A shell function NAME KEY that prints the words of its row.
std::string function_of(const std::string& name, const std::vector<std::pair<std::string, std::string>>& rows) {
  std::string out = name + "() {\n  case \"$1\" in\n";
  for (const auto& [key, words] : rows) out += "    " + quoted(key) + ") printf '%s\\n' " + words + " ;;\n";
  return out + "  esac\n}\n";
}

// What bash and zsh share: the table as three functions, and one that finds the command the words so far spell.
std::string posix_tables(const Table& table) {
  std::vector<std::pair<std::string, std::string>> commands, options, values;
  for (const auto& group : groups_of(table)) {
    std::vector<std::string> words;
    for (const auto* c : below(table, group)) words.push_back(last_word(c->path));
    commands.emplace_back(group, joined(words));
  }
  for (const auto& c : table) {
    if (c.hidden || c.passes_rest) continue;
    std::vector<std::string> words{"--help"};
    for (const auto& o : c.options) {
      for (const auto& name : names_of(o)) {
        words.push_back(name);
        if (!o.value.empty()) values.emplace_back(c.path + " " + name, o.choices.empty() ? "@file" : joined(o.choices));
      }
    }
    options.emplace_back(c.path, joined(words));
  }
  options.emplace_back("", "--help");
  return function_of("_lab_commands", commands) + function_of("_lab_options", options) +
         function_of("_lab_values", values) +
         R"(_lab_at() {
  local at= word next
  for word in "$@"; do
    for next in $(_lab_commands "$at"); do
      if [ "$word" = "$next" ]; then at="${at:+$at }$word"; break; fi
    done
  done
  printf '%s' "$at"
}
)";
}

std::string bash_script(const Table& table) {
  return "# bash completion for lab: source <(lab completion bash)\n" + posix_tables(table) + R"(_lab() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at words
  # readline takes "--output=js" apart at the sign.
  if [ "$prev" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
  if [ "$cur" = = ]; then cur=; fi
  at=$(_lab_at "${COMP_WORDS[@]:1:COMP_CWORD-1}")
  words=$(_lab_values "$at $prev")
  if [ -z "$words" ]; then
    case "$cur" in
      -*) words=$(_lab_options "$at") ;;
      *) words=$(_lab_commands "$at") ;;
    esac
  fi
  COMPREPLY=()
  if [ "$words" != @file ]; then COMPREPLY=($(compgen -W "$words" -- "$cur")); fi
}
complete -o default -F _lab lab
complete -o default -F _lab kubeadm
)";
}

std::string zsh_script(const Table& table) {
  return "#compdef lab kubeadm\n# zsh completion for lab: put this file as _lab on your $fpath\n" +
         posix_tables(table) +
         R"zsh(_lab() {
  local cur=${words[CURRENT]} prev=${words[CURRENT-1]} at
  local -a found
  at=$(_lab_at "${(@)words[2,CURRENT-1]}")
  found=(${=$(_lab_values "$at $prev")})
  if (( ! $#found )); then
    case "$cur" in
      -*) found=(${=$(_lab_options "$at")}) ;;
      *) found=(${=$(_lab_commands "$at")}) ;;
    esac
  fi
  if (( $#found )) && [ "$found[1]" != @file ]; then compadd -- $found; else _files; fi
}
if [ "$funcstack[1]" = _lab ]; then _lab "$@"; else compdef _lab lab kubeadm; fi
)zsh";
}

std::string fish_script(const Table& table) {
  std::string out =
      "# fish completion for lab: lab completion fish > ~/.config/fish/completions/lab.fish\nfunction __lab_at\n"
      "  set -l at ''\n  for word in (commandline -opc)[2..-1]\n    switch \"$at $word\"\n      case";
  for (const auto& c : table)
    if (!c.hidden) out += " " + fish_quoted(parent_of(c.path) + " " + last_word(c.path));
  out += "\n        set at (string trim -- \"$at $word\")\n    end\n  end\n  test \"$at\" = \"$argv\"\nend\n";
  for (const char* program : {"lab", "kubeadm"}) {
    const std::string start = std::string("complete -c ") + program;
    for (const auto& c : table) {
      if (c.hidden) continue;
      out += start + " -f -n " + fish_quoted("__lab_at " + fish_quoted(parent_of(c.path))) + " -a " +
             last_word(c.path) + " -d " + fish_quoted(c.summary) + "\n";
      for (const auto& o : c.options) {
        out += start + " -n " + fish_quoted("__lab_at " + fish_quoted(c.path)) + " -l " + o.name;
        if (!o.letter.empty()) out += " -s " + o.letter;
        if (!o.value.empty()) out += o.choices.empty() ? " -r" : " -x -a " + fish_quoted(joined(o.choices));
        out += " -d " + fish_quoted(o.help) + "\n";
      }
    }
  }
  return out;
}

int completion(const Invocation& in) {
  auto script = completion_script(in.argument(0), commands());
  if (!script) {
    report(script.error());
    return kUsage;
  }
  std::fputs(script->c_str(), stdout);
  return kDone;
}

}  // namespace

Result<std::string> completion_script(const std::string& shell, const std::vector<Command>& commands) {
  if (shell == "bash") return bash_script(commands);
  if (shell == "zsh") return zsh_script(commands);
  if (shell == "fish") return fish_script(commands);
  return fail(Code::kInvalid, "there is no completion for \"" + shell + "\"", "name one of bash, zsh, fish");
}

Commands completion_commands() {
  return {{.path = "completion",
           .summary = "Print a completion script for a shell",
           .details = "bash, for this shell:  source <(lab completion bash)\n"
                      "bash, for all:         lab completion bash > /etc/bash_completion.d/lab\n"
                      "zsh:                   lab completion zsh > \"${fpath[1]}/_lab\"\n"
                      "fish:                  lab completion fish > ~/.config/fish/completions/lab.fish",
           .arguments = {{"SHELL", "bash, zsh or fish"}},
           .run = completion}};
}

}  // namespace lab::cli
