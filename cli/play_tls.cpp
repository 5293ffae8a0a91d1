#include "cli/play_tls.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include <functional>

#include "base/http/client.h"
#include "labs/classroom/model/class.h"

namespace lab::cli {

namespace {

// Calls see(address, is_loopback) for each address of this machine by which others may reach it. Labs' bridges and
// addresses that hold for one link alone are left out.
void each_address(const std::function<void(const std::string&, bool)>& see) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return;
  for (auto* one = all; one; one = one->ifa_next) {
    if (!one->ifa_addr || !(one->ifa_flags & IFF_UP) || std::string_view(one->ifa_name).starts_with("lab")) continue;
    char text[INET6_ADDRSTRLEN] = "";
    if (one->ifa_addr->sa_family == AF_INET) {
      ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(one->ifa_addr)->sin_addr, text, sizeof text);
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      const auto& address = reinterpret_cast<sockaddr_in6*>(one->ifa_addr)->sin6_addr;
      if (!IN6_IS_ADDR_LINKLOCAL(&address)) ::inet_ntop(AF_INET6, &address, text, sizeof text);
    }
    if (*text) see(text, one->ifa_flags & IFF_LOOPBACK);
  }
  ::freeifaddrs(all);
}

classroom::Names names_of_machine(const std::string& listen_address) {
  classroom::Names out;
  char host[256] = "";
  (void)::gethostname(host, sizeof host - 1);
  const std::string whole = host, first = whole.substr(0, whole.find('.'));
  out.add(whole);
  out.add(first);
  if (!first.empty()) out.add(first + ".local");  // as multicast DNS has it
  out.add("localhost");
  for (const char* loopback : {"127.0.0.1", "::1"}) out.add(loopback);
  each_address([&](const std::string& address, bool) { out.add(address); });
  if (listen_address != "0.0.0.0" && listen_address != "::") out.add(listen_address);
  if (auto classes = classroom::list_classes())
    for (const auto& name : *classes)
      if (auto one = classroom::load_class(name))
        if (auto url = http::parse_url(one->url)) out.add(url->host);
  return out;
}

}  // namespace

std::string own_address() {
  std::string out;
  each_address([&](const std::string& address, bool is_loopback) {
    if (out.empty() && !is_loopback && address.find(':') == std::string::npos) out = address;
  });
  return out.empty() ? "127.0.0.1" : out;
}

Result<std::optional<classroom::Certificate>> play_certificate(const Invocation& in,
                                                               const std::string& listen_address) {
  if (in.has("tls-cert") != in.has("tls-key"))
    return fail(Code::kInvalid, "--tls-cert and --tls-key are wanted together",
                "or give --tls alone: a certificate is made");
  if (in.has("tls-cert")) return classroom::given_certificate(in.get("tls-cert"), in.get("tls-key"));
  if (!in.flag("tls")) return std::nullopt;
  return classroom::own_certificate(classroom::kCertificateDirectory, names_of_machine(listen_address));
}

}  // namespace lab::cli
