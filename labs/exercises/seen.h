// Seen: what a check saw in place of what it wants, kept apart from the words for it, so that a class reads them in its
// own language. Texts stand in one table in seen.cpp, by language as those of an exercise; its test holds every
// language of the bundled course against it. What programs, pages and the API server say themselves is passed on as it
// is.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "labs/exercises/exercise.h"

namespace lab::exercises {

enum class Saw {
  kNothing,         // it was not looked yet
  kCount,           // so many, of so many wanted, of so many there, of which kind
  kCountInPlaces,   // the same; in so many places, of so many wanted
  kNotServed,       // a kind
  kNoCluster,       // there is none yet
  kApiSilent,       // the API server does not answer
  kApiRefuses,      // its words
  kStatus,          // of an HTTP answer
  kPage,            // its first line
  kEmptyPage,       //
  kNobodyAnswers,   // at which host and port
  kTooSlow,         // the same
  kExitCode,        // of a command, and the first line that it said
  kCommandTooSlow,  // seconds
  kNoNode,          // its name
  kNodeStopped,     // its name
  kNotLooked,       // why it could not be
  kBroken,          // why the check itself is
  kEnd_             // how many there are
};

struct Seen {
  Saw what = Saw::kNothing;
  std::vector<std::string> with;  // what fills the places of its text, in their order

  std::string in(const std::string& language) const;  // "" for kNothing
  bool operator==(const Seen&) const = default;
};

// "{0} of {1}": the text that a sight is told by.
const Text& words_of(Saw what);

// What cannot be looked at, by the error that came of it. `where` is what was asked: a host with its port.
Seen no_answer(const Error& error, const std::string& where);
Seen no_objects(const Error& error);                                        // of the API server
Seen no_command(const Error& error, const std::string& node, int seconds);  // that may take so many

}  // namespace lab::exercises
