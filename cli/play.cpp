// lab play: the classroom's server, for a class or for one person on the own machine.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/fs.h"
#include "base/http/client.h"
#include "base/io/address.h"
#include "base/log.h"
#include "base/subprocess.h"
#include "bootstrap/common/runtime.h"
#include "cli/daemon.h"
#include "cli/groups.h"
#include "cli/play_tls.h"
#include "cli/report.h"
#include "labs/classroom/server/server.h"
#include "labs/exercises/exercise.h"
#include "orchestrator/api/time.h"

namespace lab::cli {

namespace {

using classroom::Class;

constexpr const char* kAlone = "play";  // the class that is made where there is none
constexpr const char* kWhoIsAlone = "you";
constexpr const char* kLog = "/var/log/lab/play.log";

struct Listen {
  std::string address;
  int port = 0;
};

Result<Listen> parse_listen(const std::string& option, const std::string& text) {
  const auto colon = text.rfind(':');
  Listen out{.address = text.substr(0, colon == std::string::npos ? 0 : colon)};
  if (out.address.starts_with('[') && out.address.ends_with(']'))
    out.address = out.address.substr(1, out.address.size() - 2);
  const char* begin = text.data() + (colon == std::string::npos ? 0 : colon + 1);
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), out.port);
  if (out.address.empty() || !is_ip_literal(out.address) || error != std::errc() || *end != '\0' || out.port < 0 ||
      out.port > 65535)
    return fail(Code::kInvalid, "--" + option + " " + text + " is no address and port",
                "as in: --" + option + " 127.0.0.1:8080");
  return out;
}

std::string language() {
  const char* lang = std::getenv("LANG");
  return lang && std::string_view(lang).starts_with("es") ? "es" : "en";
}

// A class of one student on the own machine, who is alone in it.
Result<void> make_alone(const std::string& name, const Invocation& in) {
  LAB_CHECK(classroom::check_class_name(name));
  LAB_TRY(auto lock, classroom::lock_class(name));
  if (classroom::load_class(name)) return {};
  Class one;
  one.name = name;
  one.language = in.has("language") ? in.get("language") : language();
  if (in.has("exercise")) {
    LAB_TRY(const auto exercise, exercises::find_exercise(in.get("exercise")));
    // By its name where the installation brings it, and else by its place.
    LAB_TRY(const auto course, exercises::course());
    const bool bundled = std::ranges::any_of(course, [&](const auto& e) { return e.directory == exercise.directory; });
    std::error_code ignored;
    one.exercise = bundled ? exercise.name : std::filesystem::absolute(exercise.directory, ignored).string();
  }
  one.nodes = static_cast<int>(in.number("nodes"));
  if (one.nodes < 1 || one.nodes > 20) return fail(Code::kInvalid, "--nodes must be 1 to 20");
  one.node_limit = one.nodes + 2;
  one.created = api::format_time(std::chrono::system_clock::now());
  one.teacher_secret = classroom::new_secret();
  auto student = classroom::new_student(name, 1, "");
  student.name = kWhoIsAlone;
  student.profile = name;
  one.students.push_back(std::move(student));
  return classroom::save_class(one);
}

// Cards lead to where the class is served. What a teacher wrote there stays, but for the scheme of this very server.
Result<void> tell_url(classroom::Service& service, const std::string& url) {
  LAB_TRY(const auto now, http::parse_url(url));
  for (const auto& one : service.classes()) {
    const auto before = http::parse_url(one.url);
    const bool guessed = !before || before->host == "127.0.0.1" || before->host == "::1" ||
                         (before->host == now.host && before->port == now.port);
    if (guessed && one.url != url)
      LAB_CHECK(service.change(one.name, [&](Class& c) -> Result<void> {
        c.url = url;
        return {};
      }));
  }
  return {};
}

// How a browser is convinced, or why it should be.
Result<void> print_security(const std::optional<classroom::Certificate>& tls, const std::string& address) {
  if (!tls) {
    if (address != "127.0.0.1" && address != "::1")
      std::printf("Links and what is typed go over the network in the clear: lab play --tls encrypts them.\n");
    return {};
  }
  LAB_TRY(const auto shown, classroom::fingerprint(tls->chain_pem));
  std::printf("Certificate's fingerprint (SHA-256): %s\n", shown.c_str());
  if (!tls->ca_file.empty())
    std::printf("Browsers warn of it, for both ports, unless they trust %s\n", tls->ca_file.c_str());
  return {};
}

void print_links(classroom::Service& service, const std::string& url) {
  const auto classes = service.classes();
  for (const auto& one : classes) {
    if (one.students.size() == 1 && one.students[0].name == kWhoIsAlone) {
      std::printf("\nYour link:  %s/s/%s\n", url.c_str(), one.students[0].secret.c_str());
      std::printf("A teacher's: %s/t/%s\n", url.c_str(), one.teacher_secret.c_str());
    } else {
      std::printf("\nClass %s, %zu students. Teacher: %s/t/%s\n", one.name.c_str(), one.students.size(), url.c_str(),
                  one.teacher_secret.c_str());
      std::printf("Students' links: lab class cards %s\n", one.name.c_str());
    }
  }
  std::fflush(stdout);
}

Result<void> play(const Invocation& in) {
  LAB_TRY(const auto listen, parse_listen("listen", in.get("listen")));
  Listen ports{listen.address, listen.port == 0 ? 0 : listen.port + 1};
  if (in.has("ports-listen")) {
    LAB_TRY(ports, parse_listen("ports-listen", in.get("ports-listen")));
  }
  if (::geteuid() != 0) return fail(Code::kForbidden, "lab play makes labs, and so must be root", "sudo lab play");
  LAB_TRY(const auto classes, classroom::list_classes());
  if (in.flag("create") || (classes.empty() && !in.has("class")))
    LAB_CHECK(make_alone(in.has("class") ? in.get("class") : kAlone, in));
  LAB_TRY(const auto tls, play_certificate(in, listen.address));
  LAB_TRY(auto server, classroom::ClassroomServer::start({.only_class = in.get("class"),
                                                          .address = listen.address,
                                                          .port = listen.port,
                                                          .ports_address = ports.address,
                                                          .ports_port = ports.port,
                                                          .page = fs::join(bootstrap::bundle_directory(), "web"),
                                                          .tls = tls}));
  const bool everywhere = listen.address == "0.0.0.0" || listen.address == "::";
  const std::string url =
      (tls ? "https://" : "http://") + host_port(everywhere ? own_address() : listen.address, server->port());
  LAB_CHECK(tell_url(server->service(), url));
  std::printf("The classroom is at %s (what runs in labs: port %d)\n", url.c_str(), server->ports_port());
  LAB_CHECK(print_security(tls, listen.address));
  if (!server->has_page()) std::printf("The page was not built; the interface works. See labs/web/README.md.\n");
  print_links(server->service(), url);
  if (::isatty(STDIN_FILENO)) std::printf("\nCtrl-C ends the server; labs and terminals go on.\n");
  std::fflush(stdout);
  wait_for_stop();
  std::printf("\nEnding. Labs and terminals go on; lab play serves them again.\n");
  std::fflush(stdout);
  return {};
}

// The same command again, as a process of its own.
Result<void> play_behind(const Invocation& in) {
  LAB_CHECK(fs::make_dirs("/var/log/lab"));
  std::vector<std::string> argv{fs::self_exe(), "play"};
  for (const char* option : {"class", "listen", "ports-listen", "exercise", "nodes", "language", "tls-cert", "tls-key"})
    if (in.has(option)) argv.insert(argv.end(), {std::string("--") + option, in.get(option)});
  for (const char* flag : {"create", "tls"})
    if (in.flag(flag)) argv.push_back(std::string("--") + flag);
  LAB_TRY(const pid_t pid, spawn_daemon({.argv = std::move(argv), .log_path = kLog}));
  std::printf("The classroom's server is process %d. Its links stand in %s. End it: kill %d\n", pid, kLog, pid);
  return {};
}

}  // namespace

Commands play_commands() {
  return {
      {.path = "play",
       .summary = "Serve the classroom: labs, exercises and terminals in a browser",
       .details = "Without a class it makes one for you alone and prints your link. With classes (lab class "
                  "create) it serves them all.",
       .options = {{.name = "class", .value = "NAME", .help = "Serve this class alone"},
                   {.name = "create", .help = "Make that class where there is none, for you alone"},
                   {.name = "listen",
                    .value = "ADDRESS:PORT",
                    .help = "Where the page is served",
                    .fallback = "127.0.0.1:8080"},
                   {.name = "ports-listen",
                    .value = "ADDRESS:PORT",
                    .help = "Where what runs in labs is served; default: the next port"},
                   {.name = "tls",
                    .help = "Serve both over TLS, with a certificate that is made for this machine's names"},
                   {.name = "tls-cert", .value = "FILE", .help = "Serve both over TLS with this certificate (PEM)"},
                   {.name = "tls-key", .value = "FILE", .help = "Its key"},
                   {.name = "exercise", .value = "EXERCISE", .help = "Of a class that is made: begin with this one"},
                   {.name = "nodes",
                    .value = "N",
                    .help = "Of a class that is made: nodes of your lab",
                    .fallback = "3",
                    .letter = "n"},
                   {.name = "language",
                    .value = "LANG",
                    .help = "Of a class that is made: en or es; default: that of LANG",
                    .letter = "l",
                    .choices = {"en", "es"}},
                   {.name = "background", .help = "Go on as a process of its own"}},
       .run = [](const Invocation& in) {
         if (in.flag("background")) return finish(play_behind(in));
         block_stop_signals();
         return finish(play(in));
       }}};
}

}  // namespace lab::cli
