#include "console.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace pare::app {
namespace {

constexpr double kRepaintSeconds = 0.1;
constexpr double kPlainSeconds = 5;
constexpr double kEventSeconds = 0.5;
constexpr const char* kClearLine = "\r\033[K";

void put(std::FILE* file, std::string_view text) { std::fwrite(text.data(), 1, text.size(), file); }

void put_line(std::FILE* file, std::string_view line) {
  put(file, line);
  put(file, "\n");
  std::fflush(file);
}

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

bool can_repaint() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && term != nullptr && std::string_view(term) != "dumb";
}

std::size_t terminal_columns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 80;
  return size.ws_col;
}

/// The first `columns` characters; a longer line would wrap and could not be repainted.
std::string_view fit(std::string_view line, std::size_t columns) {
  std::size_t shown = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins_character = (static_cast<unsigned char>(line[i]) & 0xC0U) != 0x80U;
    if (begins_character && shown++ == columns) return line.substr(0, i);
  }
  return line;
}

std::string duration(double seconds) {
  const auto s = static_cast<std::int64_t>(seconds + 0.5);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

Json error_json(const Error& failure) {
  return {{"code", fmt::format("E{:04}", static_cast<int>(failure.code()))},
          {"title", title_of(failure.code())},
          {"detail", failure.detail()},
          {"message", fmt::format("{}: {}", title_of(failure.code()), failure.detail())},
          {"where", failure.where()},
          {"hint", failure.hint()},
          {"exit_code", exit_code_of(failure.kind())}};
}

}  // namespace

std::string counted(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

Console::Console(const ConsoleOptions& options)
    : options_(options), live_(can_repaint()), color_(live_ && !is_set("NO_COLOR")) {}

Console::~Console() { clear_live_line(); }

double Console::seconds() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void Console::clear_live_line() {
  if (!line_is_live_) return;
  put(stderr, kClearLine);
  std::fflush(stderr);
  line_is_live_ = false;
}

void Console::put_stdout(std::string_view text) {
  errno = 0;
  put(stdout, text);
  if ((std::fflush(stdout) == 0 && std::ferror(stdout) == 0) || stdout_error_ != 0) return;
  stdout_error_ = errno == 0 ? EIO : errno;
  if (stdout_error_ == EPIPE && reader_gone_) reader_gone_();
}

void Console::end_progress() {
  const std::lock_guard lock(mutex_);
  clear_live_line();
}

void Console::result(std::string_view line) {
  const std::lock_guard lock(mutex_);
  clear_live_line();
  if (options_.json) return put_line(stderr, line);
  put_stdout(std::string(line) + "\n");
}

void Console::stream(std::string_view text) {
  const std::lock_guard lock(mutex_);
  clear_live_line();
  put_stdout(text);
}

void Console::json(const Json& object) {
  const std::lock_guard lock(mutex_);
  print_object(object);
}

void Console::print_object(const Json& object) {
  Json whole = {{"schema", kJsonSchema}};
  whole.update(object);
  clear_live_line();
  put_stdout(whole.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Console::error(const Error& failure) {
  const std::lock_guard lock(mutex_);
  clear_live_line();
  std::string text = failure.what();
  const std::size_t code_end = text.find(']');
  if (color_ && code_end != std::string::npos) {
    text = fmt::format("\033[1;31m{}\033[0m{}", text.substr(0, code_end + 1),
                       text.substr(code_end + 1));
  }
  put_line(stderr, text);
  if (options_.events) return print_event("error", error_json(failure));
  if (options_.json) print_object({{"error", error_json(failure)}});
}

void Console::info(std::string_view line) {
  if (options_.quiet) return;
  const std::lock_guard lock(mutex_);
  clear_live_line();
  put_line(stderr, line);
}

void Console::warning(std::string_view line) {
  const std::lock_guard lock(mutex_);
  clear_live_line();
  const std::string_view mark = color_ ? "\033[1;33mwarning\033[0m" : "warning";
  put_line(stderr, fmt::format("{}: {}", mark, line));
  if (options_.events) print_event("warning", {{"message", line}});
}

void Console::event(std::string_view name, std::string_view json_object) {
  if (!options_.events) return;
  const Json fields = Json::parse(json_object, nullptr, false);
  const std::lock_guard lock(mutex_);
  print_event(name, fields.is_object() ? fields : Json{{"value", fields}});
}

void Console::print_event(std::string_view name, const Json& fields) {
  Json whole = {{"event", name}, {"schema", kJsonSchema}, {"t", seconds()}};
  for (const auto& [key, value] : fields.items()) {
    if (!whole.contains(key)) whole[key] = value;
  }
  clear_live_line();
  put_stdout(whole.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void Console::progress(const Progress& state) {
  const std::lock_guard lock(mutex_);
  const auto [found, new_stage] = stages_.try_emplace(state.stage);
  Stage& stage = found->second;
  const bool again = state.done <= stage.first && stage.last > stage.first;
  if (new_stage || again) stage = {Clock::now(), state.done, state.done};
  stage.last = std::max(stage.last, state.done);
  if (!progress_is_due(state, new_stage)) return;
  last_shown_ = Clock::now();
  if (options_.events) {
    const auto left = seconds_left(state, stage);
    print_event("progress", {{"stage", state.stage},
                             {"item", state.item},
                             {"done", state.done},
                             {"total", state.total},
                             {"seconds_left", left.has_value() ? Json(*left) : Json()},
                             {"note", state.note},
                             {"rss_bytes", current_rss_bytes()}});
  }
  if (options_.quiet || (options_.events && !live_)) return;
  const std::string line = progress_line(state, stage);
  if (live_) return show_live(line);
  put_line(stderr, line);
}

bool Console::progress_is_due(const Progress& state, bool new_stage) {
  if (new_stage) return true;
  const double waited = std::chrono::duration<double>(Clock::now() - last_shown_).count();
  if (live_) return waited >= kRepaintSeconds || (state.total > 0 && state.done == state.total);
  return waited >= (options_.events ? kEventSeconds : kPlainSeconds);
}

/// By the pace so far; nothing before there is one.
std::optional<double> Console::seconds_left(const Progress& state, const Stage& stage) {
  const double elapsed = std::chrono::duration<double>(Clock::now() - stage.start).count();
  const std::int64_t steps = state.done - stage.first;
  if (steps <= 0 || state.done >= state.total || elapsed <= 0.5) return std::nullopt;
  return elapsed / static_cast<double>(steps) * static_cast<double>(state.total - state.done);
}

std::string Console::progress_line(const Progress& state, const Stage& stage) const {
  std::string line = state.stage;
  if (state.total > 0) line += fmt::format(" {}/{}", state.done, state.total);
  if (!state.item.empty()) line += "  " + state.item;
  if (const auto left = seconds_left(state, stage)) line += "  " + duration(*left) + " left";
  line += fmt::format("  RSS {:.2f} GiB", static_cast<double>(current_rss_bytes()) / 0x1p30);
  if (!state.note.empty()) line += "  " + state.note;
  return line;
}

void Console::show_live(const std::string& line) {
  put(stderr, kClearLine);
  put(stderr, fit(line, terminal_columns() - 1));
  std::fflush(stderr);
  line_is_live_ = true;
}

}  // namespace pare::app
