// Evaluator: whether a check holds now, in the lab of a profile. Blocking; changes nothing. One thread at a time.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "bootstrap/common/cluster.h"
#include "bootstrap/local/profile.h"
#include "labs/exercises/exercise.h"
#include "labs/exercises/seen.h"

namespace lab::exercises {

struct Verdict {
  bool passed = false;
  Seen seen;  // what was found instead: "2 of 3"
};

class Evaluator {
 public:
  // The lab may not have a cluster yet: checks of objects do not hold then.
  static Result<Evaluator> open(const std::string& profile);

  Verdict evaluate(const Check& check);
  // Of a shell script in a node, as a login shell of root's runs it.
  Result<bootstrap::ExecResult> run(const Script& script, std::map<std::string, std::string> env = {},
                                    int timeout_seconds = 180);
  const bootstrap::Profile& profile() const { return profile_; }
  bootstrap::NodeDriver& driver() { return *driver_; }
  Result<bootstrap::Cluster*> cluster();

 private:
  Verdict objects(const ObjectCheck& check);
  Verdict http(const HttpCheck& check);
  Verdict command(const CommandCheck& check);

  bootstrap::Profile profile_;
  std::unique_ptr<bootstrap::NodeDriver> driver_;
  std::unique_ptr<bootstrap::Cluster> cluster_;
  std::string kubeconfig_;  // cluster_ was made of it
};

// Whether one object satisfies the conditions; for tests and the page's explanations, too.
bool satisfies(const json::Value& object, const std::vector<Where>& where);

}  // namespace lab::exercises
