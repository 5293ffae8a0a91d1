// The two programs of flow_cache.h, which the kernel runs on the packets of the tunnel and of pods' devices. Compiled
// for the kernel's virtual machine (clang -target bpf) and carried in the binary.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "overlay-net/flow_cache/limits.h"

struct flow {  // one direction of a connection, as on the wire
  __be32 source, destination;
  __be16 source_port, destination_port;
};

struct way {
  __u64 until;  // ns, coarse monotonic clock
  __u32 device;
  __u32 is_pod;                  // the device is a pod's: its other end is in the pod
  __u8 addresses[2 * ETH_ALEN];  // Ethernet's destination and source
  __u32 unused;
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, LAB_FLOWS);
  __type(key, struct flow);
  __type(value, struct way);
} lab_flows SEC(".maps");

struct packet {
  struct ethhdr* ethernet;
  struct iphdr* ip;
  struct tcphdr* tcp;
};

// Plain TCP over IPv4: no options of IP, no fragment.
static __always_inline int read_packet(struct __sk_buff* skb, struct packet* p, struct flow* flow) {
  void *data = (void*)(long)skb->data, *end = (void*)(long)skb->data_end;
  p->ethernet = data;
  p->ip = (void*)(p->ethernet + 1);
  p->tcp = (void*)(p->ip + 1);
  if ((void*)(p->tcp + 1) > end) return 0;
  if (p->ethernet->h_proto != bpf_htons(ETH_P_IP) || p->ip->version != 4 || p->ip->ihl != 5) return 0;
  if (p->ip->protocol != IPPROTO_TCP || (p->ip->frag_off & bpf_htons(0x3fff))) return 0;
  flow->source = p->ip->saddr;
  flow->destination = p->ip->daddr;
  flow->source_port = p->tcp->source;
  flow->destination_port = p->tcp->dest;
  return 1;
}

static __always_inline int learn(struct __sk_buff* skb, int is_pod) {
  struct packet p;
  struct flow flow;
  if (!(skb->mark & LAB_ESTABLISHED_MARK)) return TC_ACT_UNSPEC;
  // Nobody further on is to take the mark for one of his own.
  skb->mark &= ~LAB_ESTABLISHED_MARK;
  if (!read_packet(skb, &p, &flow)) return TC_ACT_UNSPEC;
  struct way way = {
      .until = bpf_ktime_get_coarse_ns() + LAB_FLOW_LIFETIME_NS, .device = skb->ifindex, .is_pod = is_pod};
  __builtin_memcpy(way.addresses, p.ethernet, sizeof way.addresses);
  bpf_map_update_elem(&lab_flows, &flow, &way, BPF_ANY);
  return TC_ACT_UNSPEC;
}

SEC("tc") int learn_tunnel(struct __sk_buff* skb) {
  return learn(skb, 0);
}
SEC("tc") int learn_pod(struct __sk_buff* skb) {
  return learn(skb, 1);
}

// What begins or ends a connection, and now and then a packet in between, goes the long way: netfilter keeps its state.
SEC("tc") int lead(struct __sk_buff* skb) {
  struct packet p;
  struct flow flow;
  if (!read_packet(skb, &p, &flow)) return TC_ACT_UNSPEC;
  if (p.tcp->syn || p.tcp->fin || p.tcp->rst || p.ip->ttl < 2) return TC_ACT_UNSPEC;
  struct way* way = bpf_map_lookup_elem(&lab_flows, &flow);
  if (!way || way->until < bpf_ktime_get_coarse_ns()) return TC_ACT_UNSPEC;
  __builtin_memcpy(p.ethernet, way->addresses, sizeof way->addresses);
  // One hop less, and the header's checksum with it (RFC 1624).
  __u32 sum = p.ip->check + (__u32)bpf_htons(0x0100);
  p.ip->check = sum + (sum >= 0xffff);
  --p.ip->ttl;
  return way->is_pod ? bpf_redirect_peer(way->device, 0) : bpf_redirect(way->device, 0);
}
