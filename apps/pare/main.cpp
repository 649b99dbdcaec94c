// The program: reads the command line, runs one verb, and turns every failure into an exit code.
#include "command_line.h"
#include "console.h"
#include "pare/context.h"
#include "pare/error.h"
#include "signals.h"

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

namespace pare::app {
namespace {

/// Output that did not arrive (a full disk behind stdout) is a failure like any other.
void flush_stdout() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  throw Error(ErrorCode::file_io, "the output could not be written")
      .at("standard output")
      .hint("is the disk behind it full?");
}

int print_text(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  flush_stdout();
  return 0;
}

int run_verb(const Command& command, Console& console) {
  Context ctx(command.threads, &console);
  const CancelOnSignal cancel_on_signal(ctx);
  Session session{ctx, console, command.json};
  const int exit_code = command.run(session);
  console.end_progress();
  flush_stdout();
  return exit_code;
}

ConsoleOptions console_options(const Command& command) {
  return {.quiet = command.quiet,
          .json = command.json,
          .events = command.json && command.verb->json == JsonOutput::events};
}

/// The failure in flight as the one kind of error that users see.
Error current_failure() {
  try {
    throw;
  } catch (const Error& failure) {
    return failure;
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::memory_limit, "the system gave no more memory")
        .hint("free memory, or use a smaller context or fewer threads");
  } catch (const std::exception& failure) {
    return Error(ErrorCode::internal, failure.what());
  }
}

int fail(Console& console) {
  const Error failure = current_failure();
  console.error(failure);
  return exit_code_of(failure.kind());
}

int run(const std::vector<std::string>& arguments) {
  Console plain({});
  try {
    const Command command = parse_command_line(arguments);
    if (command.verb == nullptr) return print_text(command.text);
    Console console(console_options(command));
    try {
      return run_verb(command, console);
    } catch (...) {
      return fail(console);
    }
  } catch (...) {
    return fail(plain);
  }
}

}  // namespace
}  // namespace pare::app

int main(int argc, char** argv) {
  pare::return_freed_memory();
  return pare::app::run(std::vector<std::string>(argv + 1, argv + argc));
}
