// The program: reads the command line, runs one verb, and turns every failure into an exit code.
#include "command_line.h"
#include "console.h"
#include "pare/context.h"
#include "pare/error.h"
#include "signals.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <vector>

namespace pare::app {
namespace {

/// Output that did not arrive (a full disk behind stdout) is a failure like any other, but where
/// the reader has gone: `pare … | head` has all it wants.
[[noreturn]] void fail_stdout(int error) {
  if (error == EPIPE) end_without_reader();
  throw Error(ErrorCode::file_io,
              fmt::format("the output could not be written: {}", std::strerror(error)))
      .at("standard output")
      .hint(error == EPIPE ? "whoever was to read it has ended" : "is the disk behind it full?");
}

int print_text(const std::string& text) {
  errno = 0;
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) fail_stdout(errno);
  return 0;
}

int run_verb(const Command& command, Console& console) {
  Context ctx(command.threads, &console);
  console.when_reader_goes([&ctx] { ctx.cancel(); });
  const CancelOnSignal cancel_on_signal(ctx);
  Session session{ctx, console, command.json};
  try {
    const int exit_code = command.run(session);
    console.end_progress();
    if (console.stdout_error() == 0) return exit_code;
  } catch (...) {
    if (console.stdout_error() != EPIPE) throw;  // else it stopped for that reason
  }
  fail_stdout(console.stdout_error());
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
  } catch (const std::filesystem::filesystem_error& failure) {
    return Error(ErrorCode::file_io, failure.code().message()).at(failure.path1().string());
  } catch (const std::exception& failure) {
    return Error(ErrorCode::internal, failure.what());
  }
}

/// What to show of a command line that could not be read: its --json counts all the same.
ConsoleOptions options_of_unread(const std::vector<std::string>& arguments) {
  const bool json = std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
  for (const Verb* verb : verbs()) {
    if (!json || arguments.front() != verb->name) continue;
    return {.json = verb->json != JsonOutput::none, .events = verb->json == JsonOutput::events};
  }
  return {};
}

int fail(Console& console) {
  const Error failure = current_failure();
  console.error(failure);
  return exit_code_of(failure.kind());
}

int run(const std::vector<std::string>& arguments) {
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
    Console console(options_of_unread(arguments));
    return fail(console);
  }
}

}  // namespace
}  // namespace pare::app

int main(int argc, char** argv) {
  pare::app::occupy_standard_files();
  pare::app::outlive_readers();
  pare::return_freed_memory();
  return pare::app::run(std::vector<std::string>(argv + 1, argv + argc));
}
