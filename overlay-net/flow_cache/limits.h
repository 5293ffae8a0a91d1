/* What flow_cache.bpf.c, which is C, and flow_cache.cpp must agree on. */
#pragma once

#define LAB_ESTABLISHED_MARK 0x00200000   /* bit of a packet's mark: its connection is established and not translated */
#define LAB_FLOWS 8192                    /* directions of connections that are remembered; the least used go first */
#define LAB_FLOW_LIFETIME_NS 250000000ull /* then a packet goes the long way again */
