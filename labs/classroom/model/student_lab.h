// A student's lab: how it comes to be, goes back to its start, and goes on to another exercise.
//
// Blocking, for minutes at times, and of one thread (StandStill forks): commands and the server run each of these as a
// process of its own, job_command(). Jobs for one lab wait for each other. Killed at any point and run again, each
// completes.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "labs/classroom/model/class.h"
#include "labs/exercises/exercise.h"

namespace lab::classroom {

// What a job does; "start" goes on where one was cut off.
//   start                       makes the lab at the class's exercise, or starts it again
//   exercise NAME [LANGUAGE]    begins that exercise in place of the present one
//   reset                       back to the exercise's start state
//   add-node                    one more node, up to the class's limit (Conflict beyond it)
//   delete-node NODE
//   delete                      the lab, with its exercise
// Its standard output is progress, a line a step; its standard error the reason when it ends with another code than 0.
std::vector<std::string> job_command(const std::string& class_name, const std::string& student,
                                     const std::vector<std::string>& what);

// A job of this lab holds this file by flock(2), alone. Whoever else writes the lab's session shares it meanwhile.
std::string job_lock_file(const std::string& profile);

// The same in this process.
Result<void> run_job(const std::string& class_name, const std::string& student, const std::vector<std::string>& what);

// The lab that stands at the start of an exercise, whose snapshot students' labs are made from. Made when it is
// missing; stopped.
std::string template_profile(const std::string& class_name, const exercises::Exercise& exercise);
Result<void> make_template(const Class& one, const exercises::Exercise& exercise);

// Whether a lab's name is one that a student's lab, or one that they are made from, would have in that class.
bool is_lab_of(const std::string& class_name, const std::string& profile);

// Every lab of the class goes, whatever of it there is; then the class itself. Commands that still work on a lab are
// waited for. `say` hears which one goes.
Result<void> delete_class(const std::string& name, const std::function<void(const std::string&)>& say);

// Runs that job for these students, a few at a time, which `say` hears of. One that fails does not stop the others:
// the error tells of all.
Result<void> run_jobs(const Class& one, const std::vector<Student>& students, const std::vector<std::string>& what,
                      const std::function<void(const std::string&)>& say);

// "none", "running", "paused" or "stopped".
std::string lab_state(const std::string& profile);

// All labs of the class that run stand still, or go on; the class remembers it. A lab that cannot is named. Conflict
// when labs of a class that is over should go on.
Result<void> pause_class(const std::string& name);
Result<void> resume_class(const std::string& name);
// Labs of a class that is over stand still, until extend_class(); of another one none is touched. Repeatable, for
// whoever sees the end come.
Result<void> rest_class(const std::string& name);
// Returns the new end, RFC 3339, counted from the old one or from now, whichever is later. Labs that stand still
// because the old one had come go on. Conflict: it has no end.
Result<std::string> extend_class(const std::string& name, std::chrono::seconds by);

}  // namespace lab::classroom
