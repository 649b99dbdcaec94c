#include "pipeline/output/for_each_linear.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <vector>

namespace pare::pipeline {
namespace {

/// Lets a thread begin a linear once its codes fit beside those of the others.
class CodeBudget {
  static constexpr auto kMost = static_cast<std::int64_t>(kCodesInHand);

 public:
  class Share {
   public:
    Share(CodeBudget& all, std::int64_t codes) : all_(all), codes_(codes) {
      std::unique_lock lock(all_.mutex_);
      all_.less_.wait(lock, [&] { return all_.sum_ == 0 || all_.sum_ + codes <= kMost; });
      all_.sum_ += codes;
    }
    ~Share() {
      const std::lock_guard lock(all_.mutex_);
      all_.sum_ -= codes_;
      all_.less_.notify_all();
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

   private:
    CodeBudget& all_;
    std::int64_t codes_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable less_;
  std::int64_t sum_ = 0;
};

}  // namespace

void for_each_linear(const Context& ctx, const layout::OutputPlan& plan, const std::string& stage,
                     const LinearVisitor& fn, bool in_order) {
  std::vector<const quant::LinearHeader*> linears;
  for (const layout::OutputEntry& entry : plan.entries) {
    if (entry.linear.has_value()) linears.push_back(&*entry.linear);
  }
  std::atomic<std::int64_t> done{0};
  CodeBudget in_hand;
  const auto total = static_cast<std::int64_t>(linears.size());
  const auto visit = [&](std::int64_t i) {
    ctx.check_cancelled();
    const quant::LinearHeader& linear = *linears[static_cast<std::size_t>(i)];
    const CodeBudget::Share share(in_hand, linear.out * linear.in);
    fn(linear);
    ctx.progress({.stage = stage, .item = linear.name, .done = ++done, .total = total, .note = {}});
  };
  if (!in_order) return ctx.parallel_for(total, visit);
  for (std::int64_t i = 0; i < total; ++i)
    visit(i);
}

}  // namespace pare::pipeline
