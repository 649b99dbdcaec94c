// Threads, the listener, and the wish to stop.
#include "pare/context.h"

#include "support/expect_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace pare {
namespace {

using ::testing::ElementsAre;

TEST(ParallelFor, CallsEveryIndexOnce) {
  for (const int threads : {1, 2, 7}) {
    const Context context(threads);
    EXPECT_EQ(context.threads(), threads);
    for (const std::int64_t n : {0, 1, 2, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(n));
      context.parallel_for(n, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
      for (const auto& count : calls)
        EXPECT_EQ(count, 1);
    }
  }
}

TEST(ParallelFor, UsesSeveralThreads) {
  const Context context(2);
  std::atomic<int> arrived{0};
  // Each of the two waits for the other: one thread alone would give up.
  std::atomic<int> met{0};
  context.parallel_for(2, [&](std::int64_t) {
    ++arrived;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (arrived < 2 && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    if (arrived == 2) ++met;
  });
  EXPECT_EQ(met, 2);
}

TEST(ParallelFor, RethrowsTheExceptionOfTheLowestIndex) {
  const Context context(4);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> calls{0};
    try {
      context.parallel_for(100, [&](std::int64_t i) {
        ++calls;
        if (i == 90) throw Error(ErrorCode::bad_usage, "90");
        if (i % 10 == 7) {
          // In odd rounds the lowest index fails last, in even ones early.
          if (i == 7 && round % 2 == 1) std::this_thread::sleep_for(std::chrono::microseconds(100));
          throw std::runtime_error(std::to_string(i));
        }
      });
      ADD_FAILURE() << "no exception";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "7");
    }
    EXPECT_EQ(calls, 100);
  }
  std::atomic<int> calls{0};  // and the pool goes on working
  context.parallel_for(10, [&](std::int64_t) { ++calls; });
  EXPECT_EQ(calls, 10);
}

TEST(ParallelFor, NestedCallsRunInPlace) {
  const Context context(3);
  std::vector<std::atomic<int>> calls(20);
  context.parallel_for(4, [&](std::int64_t outer) {
    const auto self = std::this_thread::get_id();
    context.parallel_for(5, [&](std::int64_t inner) {
      EXPECT_EQ(std::this_thread::get_id(), self);
      ++calls[static_cast<std::size_t>(outer * 5 + inner)];
    });
  });
  for (const auto& count : calls)
    EXPECT_EQ(count, 1);
}

TEST(ParallelFor, MayBeCalledFromSeveralThreads) {
  const Context context(3);
  std::atomic<int> calls{0};
  std::vector<std::thread> callers;
  for (int k = 0; k < 4; ++k) {
    callers.emplace_back([&] {
      for (int round = 0; round < 20; ++round)
        context.parallel_for(10, [&](std::int64_t) { ++calls; });
    });
  }
  for (std::thread& caller : callers)
    caller.join();
  EXPECT_EQ(calls, 4 * 20 * 10);
}

struct Recorder : Listener {
  void info(std::string_view line) override { lines.push_back("info " + std::string(line)); }
  void warning(std::string_view line) override { lines.push_back("warning " + std::string(line)); }
  void progress(const Progress& state) override { lines.push_back("progress " + state.item); }
  void event(std::string_view name, std::string_view json) override {
    lines.push_back(std::string(name) + std::string(json));
  }
  std::vector<std::string> lines;
};

TEST(Context, TellsTheListener) {
  Recorder recorder;
  const Context context(1, &recorder);
  context.info("a");
  context.warning("b");
  context.progress({.item = "c"});
  context.event("d", "{}");
  EXPECT_THAT(recorder.lines, ElementsAre("info a", "warning b", "progress c", "d{}"));
  const Context silent(1);
  silent.info("nobody hears this");
}

TEST(Context, StopsWhenAsked) {
  Context context(1);
  EXPECT_NO_THROW(context.check_cancelled());
  context.cancel();
  PARE_ERROR_TEXT(interrupted, context.check_cancelled());
}

TEST(Memory, ResidentSetIsKnown) {
  const std::size_t before = peak_rss_bytes();
  EXPECT_GT(current_rss_bytes(), std::size_t{1} << 20);
  std::vector<char> block(std::size_t{64} << 20, 1);
  EXPECT_GE(peak_rss_bytes(), current_rss_bytes());
  EXPECT_GE(peak_rss_bytes() + (std::size_t{1} << 20), before);
  EXPECT_GT(current_rss_bytes(), block.size());
}

}  // namespace
}  // namespace pare
