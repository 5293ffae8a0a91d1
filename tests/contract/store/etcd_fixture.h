// A real etcd of one member on loopback ports of its own, for one test directory; ended with the process at the latest.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "orchestrator/store/store.h"
#include "tests/contract/store/backend.h"

namespace lab::store {

class EtcdProcess {
 public:
  // Starts it on DIRECTORY/etcd and waits until it serves. Its ports are the kernel's choice.
  static Result<std::unique_ptr<EtcdProcess>> start(const std::string& directory, const std::string& program = "etcd");
  ~EtcdProcess();  // kill -9
  const std::string& url() const { return url_; }
  Result<void> restart();  // kill -9 and start again on the same ports and data
  void pause();            // SIGSTOP
  void resume();

 private:
  EtcdProcess() = default;
  Result<void> spawn();
  void end();

  std::string directory_, program_, url_, peer_url_;
  int pid_ = -1;
};

// The store on the etcd of `directory`, which is started when it does not run yet: the machine's own, or etcd 3.5.
Result<std::unique_ptr<Store>> open_etcd_in(const std::string& directory, StoreTuning tuning);
Result<std::unique_ptr<Store>> open_etcd35_in(const std::string& directory, StoreTuning tuning);
// The program of etcd 3.5, fetched once for all tests.
Result<std::string> etcd35();
// The directory is about to go.
void end_etcd_of(const std::string& directory);

}  // namespace lab::store
