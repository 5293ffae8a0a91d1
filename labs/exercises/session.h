// Session: an exercise that somebody does in a lab of its own, and how far they are.
//
// Kept in /var/lib/lab/exercises/PROFILE.json, written as a whole, so that a killed command loses nothing. Steps come
// in order: the checks of the first step that is not done are looked at; a check that passed stays passed. Blocking.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bootstrap/node/limits.h"
#include "labs/exercises/evaluator.h"

namespace lab::exercises {

inline constexpr const char* kDefaultProfile = "exercise";
inline constexpr const char* kStartState = "exercise-start";  // the snapshot to which a reset goes back

struct StartRequest {
  std::string profile = kDefaultProfile;
  std::string language = "en";
  bool merge_kubeconfig = true;
  int nodes = 0;         // 0: as many as the exercise asks for
  bool replace = false;  // another exercise that is there ends, and this one begins in its place
  // What the lab is made with; remembered, for a reset may have to make it anew.
  bool isolated = false;        // bootstrap/node/network.h
  std::string from;             // a lab that stands at this exercise's start state, which the new one is started from
  bootstrap::LabLimits limits;  // of the lab as a whole
  bool user_namespace = false;  // root in its nodes is nobody on this machine
};

struct CheckState {
  std::string say;
  bool passed = false;
  std::string seen;  // of a check that was looked at and did not pass, in the session's language
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
  bool ready() const { return ready_; }  // the start state stands
  std::size_t current() const;           // index of the first step that is not done; steps.size() at the end
  bool done() const { return current() == exercise_.steps.size(); }
  const std::vector<std::vector<bool>>& passed() const { return passed_; }
  const std::string& begun() const { return begun_; }        // RFC 3339: when the start state stood; empty: not yet
  const std::string& advanced() const { return advanced_; }  // when a check turned green last; empty: none has

  // Looks at the current step's checks that have not passed. True when one passed now.
  Result<bool> check();
  std::vector<CheckState> states(std::size_t step) const;  // as of the last look
  // Does the current step in the student's place. What its scripts say goes to `say`.
  Result<void> solve(const std::function<void(const Script&, const bootstrap::ExecResult&)>& say);
  // Back to the start state, with nothing passed.
  Result<void> reset();
  Result<void> speak(const std::string& language);  // from now on

 private:
  Result<void> go_back();
  Result<void> prepare();
  Result<void> save() const;
  Result<Evaluator*> evaluator();

  Exercise exercise_;
  std::string profile_, language_;
  bool ready_ = false;
  bool merge_kubeconfig_ = true;
  int nodes_ = 0;
  bool isolated_ = false;
  std::string from_;
  bootstrap::LabLimits limits_;
  bool user_namespace_ = false;
  std::string begun_, advanced_;
  std::vector<std::vector<bool>> passed_;
  std::vector<std::vector<Seen>> seen_;
  std::unique_ptr<Evaluator> evaluator_;
};

Result<std::vector<std::string>> sessions();  // the profiles in which an exercise was started

// Where the session of a lab stands; for whoever wants to know whether it changed.
std::string session_file(const std::string& profile);

// Ends the exercise and deletes its lab; absent is fine.
Result<void> end_session(const std::string& profile);

}  // namespace lab::exercises
