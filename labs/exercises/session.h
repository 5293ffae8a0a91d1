// Session: an exercise that somebody does in a lab of its own, and how far they are.
//
// Kept in /var/lib/lab/exercises/PROFILE.json, written as a whole, so that a killed command loses nothing. Steps come
// in order: the checks of the first step that is not done are looked at; a check that passed stays passed. Blocking.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "labs/exercises/evaluator.h"

namespace lab::exercises {

inline constexpr const char* kDefaultProfile = "exercise";

struct StartRequest {
  std::string profile = kDefaultProfile;
  std::string language = "en";
  bool merge_kubeconfig = true;
};

struct CheckState {
  std::string say;
  bool passed = false;
  std::string seen;  // of a check that was looked at and did not pass
};

class Session {
 public:
  // Makes the lab and the start state. Conflict when the profile has another exercise, or a lab that was made
  // otherwise. One that was killed in its middle is begun anew.
  static Result<Session> start(const Exercise& exercise, const StartRequest& request);
  // NotFound when no exercise was started there.
  static Result<Session> load(const std::string& profile);

  const Exercise& exercise() const { return exercise_; }
  const std::string& language() const { return language_; }
  const std::string& profile() const { return profile_; }
  std::size_t current() const;  // index of the first step that is not done; steps.size() at the end
  bool done() const { return current() == exercise_.steps.size(); }
  const std::vector<std::vector<bool>>& passed() const { return passed_; }

  // Looks at the current step's checks that have not passed. True when one passed now.
  Result<bool> check();
  std::vector<CheckState> states(std::size_t step) const;  // as of the last look
  // Does the current step in the student's place. What its scripts say goes to `say`.
  Result<void> solve(const std::function<void(const Script&, const bootstrap::ExecResult&)>& say);
  // Back to the start state, with nothing passed.
  Result<void> reset();

 private:
  Result<void> prepare();
  Result<void> save() const;
  Result<Evaluator*> evaluator();

  Exercise exercise_;
  std::string profile_, language_;
  bool ready_ = false;  // the start state stands
  bool merge_kubeconfig_ = true;
  std::vector<std::vector<bool>> passed_;
  std::vector<std::vector<std::string>> seen_;
  std::unique_ptr<Evaluator> evaluator_;
};

// Ends the exercise and deletes its lab; absent is fine.
Result<void> end_session(const std::string& profile);

}  // namespace lab::exercises
