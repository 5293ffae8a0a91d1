#include "cli/manual.h"

#include <cstdio>

#include "cli/groups.h"

namespace lab::cli {

namespace {

// Text as roff takes it literally: backslashes and hyphens escaped, no line that begins with a control character.
std::string escaped(const std::string& text) {
  std::string out;
  bool line_start = true;
  for (char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    line_start = c == '\n';
    switch (c) {
      case '\\':
        out += "\\e";
        break;
      case '-':
        out += "\\-";
        break;
      case '`':
        out += "\\(ga";
        break;
      case '^':
        out += "\\(ha";
        break;
      case '~':
        out += "\\(ti";
        break;
      case '\'':
        out += "\\(aq";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string bold(const std::string& text) {
  return "\\fB" + escaped(text) + "\\fR";
}
std::string italic(const std::string& text) {
  return "\\fI" + escaped(text) + "\\fR";
}

std::string synopsis_of(const Command& c) {
  std::string out = bold("lab " + c.path);
  if (!c.options.empty()) out += " [" + italic("OPTIONS") + "]";
  for (const auto& a : c.arguments) {
    const std::string one = italic(a.name) + (a.repeated ? "..." : "");
    out += a.required ? " " + one : " [" + one + "]";
  }
  if (c.passes_rest) out += " [" + italic("ARGUMENTS") + "...]";
  return out;
}

// Details are shown line by line as they were written: they hold lists and examples.
std::string details_of(const Command& c) {
  std::string text = c.details;
  while (text.ends_with('\n')) text.pop_back();
  return text.empty() ? "" : ".PP\n.nf\n" + escaped(text) + "\n.fi\n";
}

std::string options_of(const Command& c) {
  std::string out;
  for (const auto& a : c.arguments) out += ".TP\n" + italic(a.name) + "\n" + escaped(a.help) + "\n";
  for (const auto& o : c.options) {
    out += ".TP\n";
    if (!o.letter.empty()) out += bold("-" + o.letter) + ", ";
    out += bold("--" + o.name);
    if (!o.value.empty()) out += " " + italic(o.value);
    out += "\n" + escaped(o.help);
    if (!o.choices.empty()) {
      std::string choices;
      for (const auto& choice : o.choices) choices += (choices.empty() ? "" : ", ") + choice;
      out += "; one of: " + escaped(choices);
    }
    if (!o.fallback.empty()) out += " [" + escaped(o.fallback) + "]";
    if (o.repeated) out += "; may be repeated, or separated by commas";
    out += "\n";
  }
  return out;
}

std::string commands_of(const std::vector<Command>& commands, bool hidden) {
  std::string out;
  for (const auto& c : commands) {
    if (c.hidden != hidden || !c.run) continue;
    out += ".SS " + synopsis_of(c) + "\n" + escaped(c.summary) + ".\n" + details_of(c) + options_of(c);
  }
  return out;
}

constexpr const char* kTail = R"(.SH EXIT STATUS
.TP
0
Done.
.TP
1
It failed; standard error says what, why, and what to do next.
.TP
2
Wrong usage.
.TP
3
A preflight check failed.
.SH ENVIRONMENT
.TP
KUBECONFIG
The first file it names is the one into which a lab's context is merged; default: the calling user's
.IR \(ti/.kube/config .
.TP
SUDO_USER
Under
.BR sudo (8),
the user whose kubeconfig is meant and who shall own it.
.SH FILES
.TP
.I /etc/kubernetes
Certificates and kubeconfigs, laid out as
.BR kubeadm (1)
does.
.TP
.I /var/lib/lab
The store, the state of the pod network, and the local labs.
.TP
.I /etc/lab/units
What the supervisor keeps running where there is no systemd.
.TP
.I /var/log/lab
The daemons' logs where there is no systemd.
.SH SEE ALSO
.BR kubectl (1)
)";

}  // namespace

std::string manual_page(const std::vector<Command>& commands, const std::string& version) {
  return ".TH LAB 1 \"\" \"" + escaped("lab " + version) +
         "\" \"Kubernetes lab\"\n"
         ".SH NAME\nlab \\- a Kubernetes lab on one machine or many\n"
         ".SH SYNOPSIS\n.B lab\n.I COMMAND\n[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]\n"
         ".SH DESCRIPTION\n"
         ".B lab\nmakes Kubernetes clusters: local ones of several nodes on this machine (\\fBlab start\\fR), and "
         "clusters of real\n"
         "hosts (\\fBlab init\\fR, \\fBlab join\\fR). Called as \\fBkubeadm\\fR, as nodes of a local lab have it, it "
         "is the same "
         "program.\n"
         ".SH COMMANDS\n" +
         commands_of(commands, false) +
         ".SH DAEMONS AND HELPERS\nStarted by the commands above; a course that builds a control plane by hand runs "
         "them itself.\n" +
         commands_of(commands, true) + kTail;
}

Commands manual_commands() {
  return {{.path = "manual",
           .summary = "Print the man page",
           .details = "lab manual > /usr/local/share/man/man1/lab.1",
           .run =
               [](const Invocation&) {
                 std::fputs(manual_page(commands(), LAB_VERSION).c_str(), stdout);
                 return kDone;
               },
           .hidden = true}};
}

}  // namespace lab::cli
