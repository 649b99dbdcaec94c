// What a running operation may use: threads, the log, progress, and the wish to stop.
// Passed by reference everywhere; there is no global state.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace pare {

/// Where the operation stands; `note` is a short remark such as the worst layer so far.
struct Progress {
  std::string stage;       // "quantizing"
  std::string item;        // "layers.3.mlp.down_proj"
  std::int64_t done = 0;   // steps
  std::int64_t total = 0;  // steps; 0 = unknown
  std::string note;
};

/// Receives what the library has to say. The library never prints by itself.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual void info(std::string_view /*line*/) {}
  virtual void warning(std::string_view /*line*/) {}
  virtual void progress(const Progress& /*state*/) {}
  /// A machine-readable event: a name and a JSON object as text.
  virtual void event(std::string_view /*name*/, std::string_view /*json_object*/) {}
};

/// Threads, listener and cancellation of one operation. Not copyable; cheap to pass.
class Context {
 public:
  /// threads 0 = the machine's cores that this process may use.
  explicit Context(int threads = 0, Listener* listener = nullptr);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  int threads() const noexcept;

  /// Calls fn(i) for i in [0, n), each exactly once, on the pool; returns when all are done.
  /// Which thread runs an index is not fixed, so fn must write to places of its own index and
  /// results may never depend on the thread. Nested calls run on the calling thread alone.
  /// When calls throw, the exception of the lowest index is rethrown.
  void parallel_for(std::int64_t n, const std::function<void(std::int64_t)>& fn) const;

  void info(std::string_view line) const;
  void warning(std::string_view line) const;
  void progress(const Progress& state) const;
  void event(std::string_view name, std::string_view json_object) const;

  /// Asks the operation to stop; safe from a signal handler.
  void cancel() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  /// Throws Error(interrupted) once cancel() was called. Long loops call it between steps.
  void check_cancelled() const;

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
  Listener* listener_;
  std::atomic<bool> cancelled_{false};
};

/// Resident set size of this process now, and its highest value so far, in bytes (0 if unknown).
std::size_t current_rss_bytes() noexcept;
std::size_t peak_rss_bytes() noexcept;

/// Large buffers go back to the system as soon as they are freed, instead of staying in the heap,
/// so that the memory of a process follows what plans say. For the start of a program; others may
/// leave it out.
void return_freed_memory() noexcept;

}  // namespace pare
