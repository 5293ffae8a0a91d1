// Opening a server's store as its flags name it.
#pragma once

#include <memory>
#include <string>

#include "orchestrator/store/store.h"

namespace lab::cli {

struct StoreChoice {
  std::string store = "embedded";            // or etcd=URL[,URL...]
  std::string data_dir;                      // of the embedded one
  std::string ca_file, cert_file, key_file;  // towards etcd
  std::string file() const;                  // the embedded one's
};
Result<std::unique_ptr<store::Store>> open_store(const StoreChoice& choice);

}  // namespace lab::cli
