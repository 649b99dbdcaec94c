// The pool of threads behind a context, what it hands to the listener, and memory in use.
#include "pare/context.h"

#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <sched.h>
#include <unistd.h>

#include "pare/error.h"

namespace pare {
namespace {

int usable_cores() noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  const int count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}

thread_local bool inside_parallel_for = false;

/// One parallel_for in flight: indices are handed out one by one, the first failure is kept.
struct Job {
  std::int64_t count = 0;
  const std::function<void(std::int64_t)>* fn = nullptr;
  std::atomic<std::int64_t> next{0};
  std::mutex failure_mutex;
  std::int64_t failed_index = 0;
  std::exception_ptr failure;

  void work() {
    inside_parallel_for = true;
    for (std::int64_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) run_one(i);
    inside_parallel_for = false;
  }

  void run_one(std::int64_t i) {
    try {
      (*fn)(i);
    } catch (...) {
      const std::lock_guard lock(failure_mutex);
      if (failure && failed_index < i) return;
      failed_index = i;
      failure = std::current_exception();
    }
  }
};

}  // namespace

struct Context::Pool {
  explicit Pool(int threads) : size(threads) {
    for (int i = 1; i < threads; ++i) workers.emplace_back([this] { loop(); });
  }

  ~Pool() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_all();
    for (std::thread& t : workers) t.join();
  }

  void run(Job& job) {
    {
      const std::lock_guard lock(mutex);
      current = &job;
      ++generation;
      active = static_cast<int>(workers.size());
    }
    wake.notify_all();
    job.work();
    std::unique_lock lock(mutex);
    idle.wait(lock, [this] { return active == 0; });
    current = nullptr;
  }

  void loop() {
    std::int64_t seen = 0;
    for (;;) {
      Job* job = nullptr;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return stopping || generation != seen; });
        if (stopping) return;
        seen = generation;
        job = current;
      }
      job->work();
      const std::lock_guard lock(mutex);
      if (--active == 0) idle.notify_one();
    }
  }

  int size;
  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable idle;
  Job* current = nullptr;
  std::int64_t generation = 0;
  int active = 0;
  bool stopping = false;
  std::mutex one_job_at_a_time;
};

Context::Context(int threads, Listener* listener)
    : pool_(std::make_unique<Pool>(threads > 0 ? threads : usable_cores())), listener_(listener) {}

Context::~Context() = default;

int Context::threads() const noexcept { return pool_->size; }

void Context::parallel_for(std::int64_t n, const std::function<void(std::int64_t)>& fn) const {
  if (n <= 0) return;
  if (inside_parallel_for || n == 1 || pool_->size == 1) {
    for (std::int64_t i = 0; i < n; ++i) fn(i);
    return;
  }
  Job job;
  job.count = n;
  job.fn = &fn;
  {
    const std::lock_guard lock(pool_->one_job_at_a_time);
    pool_->run(job);
  }
  if (job.failure) std::rethrow_exception(job.failure);
}

void Context::info(std::string_view line) const {
  if (listener_ != nullptr) listener_->info(line);
}

void Context::warning(std::string_view line) const {
  if (listener_ != nullptr) listener_->warning(line);
}

void Context::progress(const Progress& state) const {
  if (listener_ != nullptr) listener_->progress(state);
}

void Context::event(std::string_view name, std::string_view json_object) const {
  if (listener_ != nullptr) listener_->event(name, json_object);
}

void Context::check_cancelled() const {
  if (cancelled_.load(std::memory_order_relaxed)) {
    throw Error(ErrorCode::interrupted, "stopped on request; nothing was left half-written");
  }
}

namespace {

std::size_t status_field_bytes(const char* field) noexcept {
  std::FILE* file = std::fopen("/proc/self/status", "re");
  if (file == nullptr) return 0;
  char line[256];
  std::size_t kib = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::strncmp(line, field, std::strlen(field)) != 0) continue;
    if (std::sscanf(line + std::strlen(field), "%zu", &kib) != 1) kib = 0;
    break;
  }
  std::fclose(file);
  return kib * 1024;
}

}  // namespace

std::size_t current_rss_bytes() noexcept { return status_field_bytes("VmRSS:"); }
std::size_t peak_rss_bytes() noexcept { return status_field_bytes("VmHWM:"); }

}  // namespace pare
