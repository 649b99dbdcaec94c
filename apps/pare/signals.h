// Requests to stop: the operation is told, ends at its next step, and cleans up.
#pragma once

#include "pare/context.h"

#include <csignal>
#include <map>

namespace pare::app {

/// While it lives, the signals that ask a program to end cancel `ctx`: Ctrl-C and kill, a terminal
/// that goes away, time that is up. A second Ctrl-C or kill ends the process at once. What was
/// ignored when the program began, as under nohup, stays ignored. One at a time.
class CancelOnSignal {
 public:
  explicit CancelOnSignal(Context& ctx);
  ~CancelOnSignal();
  CancelOnSignal(const CancelOnSignal&) = delete;
  CancelOnSignal& operator=(const CancelOnSignal&) = delete;

 private:
  std::map<int, struct sigaction> before_;
};

/// Makes a write to a reader that has gone (`pare … | head`) an error instead of a sudden death.
/// To be called once, at the start.
void outlive_readers() noexcept;

/// Ends the process as the signal would have, quietly; returns where SIGPIPE was ignored at the
/// start, since whoever did so wants to hear of it.
void end_without_reader() noexcept;

/// Standard input, output and error that came closed get a place of their own, lest a model file
/// take it: reading and writing there fail.
void occupy_standard_files() noexcept;

}  // namespace pare::app
