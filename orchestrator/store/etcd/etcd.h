// The store on etcd v3 (3.4 and later): for several masters, which share its data.
//
// Keys, revisions, transactions and watches are etcd's own, so what kube-apiserver's tools know of /registry/ holds
// here too. Reads are linearizable. What differs from the embedded store: commits that are in flight together may be
// ordered anyhow, and a commit that fails with kTimeout may have been made (the connection broke, or the leader
// changed, while it was under way); kUnavailable says that nothing was sent.
//
// Errors: kUnavailable while no endpoint answers; calls wait a few seconds for one, and go from one to the next.
#pragma once

#include <string>
#include <vector>

#include "orchestrator/store/etcd/cluster.h"
#include "orchestrator/store/store.h"

namespace lab::store {

struct EtcdOptions {
  etcd::ClusterOptions cluster;
  std::size_t history_bytes = 32 << 20;    // what a watch may hold back for a slow reader before it starts anew
  std::chrono::seconds history{300};       // older revisions are compacted; 0: never
  std::chrono::seconds connect_limit{30};  // how long opening waits for etcd
};
Result<std::unique_ptr<Store>> open_etcd(EtcdOptions options);

}  // namespace lab::store
