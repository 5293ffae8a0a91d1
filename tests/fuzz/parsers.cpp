#include "tests/fuzz/parsers.h"

#include "base/http/h1_parser.h"
#include "base/json.h"
#include "orchestrator/api/codec.h"
#include "orchestrator/dns/cache.h"
#include "orchestrator/dns/wire.h"
#include "overlay-net/cni/protocol.h"

namespace lab::fuzz {
namespace {

using Seeds = std::vector<std::string>;

// UDP and TCP 53: what clients ask.
void dns_query(Bytes input) {
  auto q = dns::read_query(text_of(input));
  if (!q) return;
  for (std::size_t limit : {q->udp_limit, std::size_t(65535)}) {
    dns::Answer a{.rcode = q->problem};
    if (q->problem == dns::kNoError && dns::valid_name(q->name)) {
      a.answers = {dns::name_record(q->name, dns::kCname, 5, "web.default.svc.cluster.local"),
                   dns::txt_record("cluster.local", 5, q->name)};
    }
    auto out = dns::write_response(*q, a, limit);
    hold(out.size() <= limit || q->problem != dns::kNoError, "an answer is no longer than its limit");
    if (q->problem == dns::kNoError) hold(dns::read_response(out).has_value(), "our answer can be read");
  }
  (void)dns::address_of_reverse_name(q->name);
}
Seeds dns_query_seeds() {
  return {dns::write_forwarded(7, dns::make_query("web.default.svc.cluster.local", dns::kA)),
          dns::write_forwarded(8, dns::make_query("5.0.96.10.in-addr.arpa", dns::kPtr)),
          dns::write_forwarded(
              9, {.dnssec_ok = true,
                  .question = dns::make_query("_http._tcp.web.default.svc.cluster.local", dns::kSrv).question,
                  .edns = true})};
}

// What comes back from upstream servers.
void dns_response(Bytes input) {
  std::string packet(text_of(input));
  auto r = dns::read_response(packet);
  if (!r) return;
  dns::Cache cache(4);
  auto query = dns::make_query("a.example", dns::kA);
  cache.store(query, packet, *r, TimePoint{});
  if (auto kept = cache.find(query, TimePoint{} + std::chrono::seconds(1))) {
    hold(kept->size() == packet.size(), "the cache keeps the length");
  }
}
Seeds dns_response_seeds() {
  auto q = dns::make_query("a.example", dns::kA);
  dns::Answer good{.answers = {dns::name_record("a.example", dns::kCname, 60, "b.example"),
                               dns::address_record("b.example", 60, *IpAddress::parse("192.0.2.1"))}};
  dns::Answer bad{.rcode = dns::kNxDomain, .authority = {dns::soa_record("example", 30, 1)}};
  return {dns::write_response(q, good, 512), dns::write_response(q, bad, 512)};
}

// Every HTTP port (6443, 10250, 6784, a service's health check) and the plugin's socket.
void http_request(Bytes input) {
  // Whole, and in two pieces: the same comes out.
  auto read = [&](std::size_t first) {
    http::ParsedMessage message;
    auto parser = http::H1Parser::request(message, 1 << 16);
    std::string bytes(text_of(input).substr(0, first));
    bool more = first < input.size();
    for (int i = 0; i < 1000; ++i) {
      auto fed = parser.feed(bytes);
      hold(fed.consumed <= bytes.size(), "no more is taken than there is");
      bytes.erase(0, fed.consumed);
      if (fed.status == http::H1Parser::Status::kNeedMore) {
        if (!more) break;
        bytes += text_of(input).substr(first);
        more = false;
      } else if (fed.status != http::H1Parser::Status::kHead) {
        break;
      }
    }
    return parser.head_done() ? message.method + " " + message.target : "";
  };
  hold(read(input.size()) == read(input.size() / 2), "pieces make no difference");
}
Seeds http_request_seeds() {
  return {"GET /api/v1/pods?limit=500 HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n",
          "POST /v1/pods HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
          "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
          "GET /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"};
}

// TCP 6443: bodies in Kubernetes' protobuf.
void protobuf(Bytes input) {
  auto object = api::decode_protobuf(text_of(input));
  if (!object) return;
  auto written = api::encode_protobuf(*object);
  if (!written) return;
  auto again = api::decode_protobuf(*written);
  hold(again.has_value(), "what we wrote can be read");
}
Seeds protobuf_seeds() {
  Seeds out;
  for (
      const char* object :
      {R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"b":"c"}},"data":{"d":"e"}})",
       R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":80}]}]}})"}) {
    if (auto v = json::parse(object)) out.push_back(api::encode_protobuf(*v).value_or(""));
  }
  return out;
}

// The plugin's socket.
void cni_request(Bytes input) {
  auto v = json::parse(std::string(text_of(input)));
  if (!v) return;
  if (auto request = overlay::pod_request_from(*v)) {
    hold(overlay::pod_request_from(overlay::to_json(*request)).has_value(), "our request can be read");
  }
  (void)overlay::pod_network_from(*v);
}
Seeds cni_request_seeds() {
  return {json::dump(overlay::to_json(overlay::PodRequest{.container_id = "c",
                                                          .ifname = "eth0",
                                                          .netns = "/run/netns/x",
                                                          .pod_namespace = "default",
                                                          .pod_name = "web",
                                                          .ports = {{.host_port = 8080, .container_port = 80}}}))};
}

}  // namespace

const std::vector<Parser>& parsers() {
  static const auto all = [] {
    std::vector<Parser> out{{"dns_query", dns_query, dns_query_seeds},
                            {"dns_response", dns_response, dns_response_seeds},
                            {"http_request", http_request, http_request_seeds},
                            {"protobuf", protobuf, protobuf_seeds},
                            {"cni_request", cni_request, cni_request_seeds}};
    for (auto more : {mesh_parsers(), sleeve_parsers()}) out.insert(out.end(), more.begin(), more.end());
    return out;
  }();
  return all;
}

}  // namespace lab::fuzz
