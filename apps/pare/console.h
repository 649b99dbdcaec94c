// What the program shows: results, messages, live progress, and JSON for programs.
#pragma once

#include "pare/context.h"
#include "pare/error.h"

#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace pare::app {

using Json = nlohmann::ordered_json;

/// Version of the JSON that this program prints; grows when a field changes its meaning.
inline constexpr int kJsonSchema = 1;

/// "1 file", "2 files".
std::string counted(std::size_t count, std::string_view what);

struct ConsoleOptions {
  bool quiet = false;   // no messages and no progress; warnings, errors and results stay
  bool json = false;    // stdout belongs to JSON; text for people goes to stderr
  bool events = false;  // with json: events line by line
};

/// The program's voice. Results go to stdout, everything else to stderr. On a terminal progress is
/// one live line; in a pipe it is a plain line at each new stage and every few seconds at most.
/// Both say how much time is left. Threads: all members may be called from several threads at once.
class Console final : public Listener {
 public:
  explicit Console(const ConsoleOptions& options);
  ~Console() override;
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  /// A line of the result, for people (stdout; stderr when stdout belongs to JSON).
  void result(std::string_view line);
  /// Part of a result as it comes, without a line end: generated text.
  void stream(std::string_view text);
  /// The one object of a verb with JsonOutput::object; "schema" is put in front.
  void json(const Json& object);
  /// The error in its form on stderr; with json also as an `error` event, or as one object that
  /// holds nothing but `error`.
  void error(const Error& failure);
  /// What writing to stdout failed with first, as errno has it; 0 when all of it arrived.
  int stdout_error() const noexcept { return stdout_error_; }
  /// Called once when nobody reads stdout any more.
  void when_reader_goes(std::function<void()> call) { reader_gone_ = std::move(call); }
  /// Takes the live line away. Called before anything else is shown, and at the end.
  void end_progress();

  void info(std::string_view line) override;
  void warning(std::string_view line) override;
  void progress(const Progress& state) override;
  void event(std::string_view name, std::string_view json_object) override;

 private:
  using Clock = std::chrono::steady_clock;

  /// A stage as far as it has been seen. Stages of a run may take turns, block by block.
  struct Stage {
    Clock::time_point start;
    std::int64_t first = 0;  // steps done when it was first seen, or began again
    std::int64_t last = 0;
  };

  double seconds() const;
  void put_stdout(std::string_view text);
  void clear_live_line();
  void print_event(std::string_view name, const Json& fields);
  void print_object(const Json& object);
  void show_live(const std::string& line);
  bool progress_is_due(const Progress& state, bool new_stage);
  static std::optional<double> seconds_left(const Progress& state, const Stage& stage);
  std::string progress_line(const Progress& state, const Stage& stage) const;

  ConsoleOptions options_;
  bool live_ = false;  // stderr is a terminal that can repaint a line
  bool color_ = false;
  std::mutex mutex_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_shown_ = start_;
  std::map<std::string, Stage> stages_;
  bool line_is_live_ = false;
  std::function<void()> reader_gone_;
  std::atomic<int> stdout_error_{0};
};

}  // namespace pare::app
