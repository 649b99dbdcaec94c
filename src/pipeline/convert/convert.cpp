#include "pipeline/convert/convert.h"

#include "core/error.h"
#include "core/stopwatch.h"
#include "io/file.h"
#include "io/output_dir.h"
#include "pipeline/output/model_files.h"
#include "pipeline/output/finite.h"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace pare::pipeline {
namespace {

namespace fs = std::filesystem;

/// Codes in hand at a time, over all threads; one linear may be larger.
constexpr std::int64_t kCodesInHand = std::int64_t{128} << 20;

/// Lets a thread begin a linear once its codes fit beside those of the others.
class CodeBudget {
 public:
  class Share {
   public:
    Share(CodeBudget& all, std::int64_t codes) : all_(all), codes_(codes) {
      std::unique_lock lock(all_.mutex_);
      all_.less_.wait(lock, [&] { return all_.sum_ == 0 || all_.sum_ + codes <= kCodesInHand; });
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

void refuse_same_folder(const ConvertSource& source, const ConvertJob& job) {
  std::error_code ignored;
  if (!fs::equivalent(source.folder, job.out, ignored)) return;
  throw Error(ErrorCode::bad_usage, "the output folder is the one to convert")
      .at(job.out.string())
      .hint("choose another folder; the source stays as it is");
}

/// A refusal that only the values could tell, in the words of this command.
[[noreturn]] void rethrow_in_our_words(const Error& failure, const std::string& module) {
  Error error(failure.code(), in_words_of_convert(failure.detail()));
  for (const std::string& place : failure.where())
    error.at(place);
  if (failure.where().empty()) error.at(module);
  throw std::move(error).hint(in_words_of_convert(failure.hint()));
}

/// Several calls at a time where the writer takes them.
class WriterLock {
 public:
  explicit WriterLock(const layout::Writer& writer) : needed_(!writer.concurrent()) {}

  std::unique_lock<std::mutex> take() {
    return needed_ ? std::unique_lock(mutex_) : std::unique_lock<std::mutex>();
  }

 private:
  bool needed_;
  std::mutex mutex_;
};

void write_tensor(const Context& ctx, const ConvertSource& source, const CopiedTensor& copy,
                  WriterLock& lock, layout::Writer& writer) {
  const TensorView tensor = *source.checkpoint->tensor(copy.source);
  try {
    refuse_not_finite(ctx, tensor);
    const auto alone = lock.take();
    writer.put_tensor(copy.name, tensor);
  } catch (Error& failure) {
    failure.at(copy.source);
    throw;
  }
  source.checkpoint->release(copy.source);
}

void write_tensors(const Context& ctx, const ConvertSource& source, const ConvertPlan& plan,
                   layout::Writer& writer) {
  WriterLock lock(writer);
  std::atomic<std::int64_t> done{0};
  const auto count = static_cast<std::int64_t>(plan.copied.size());
  ctx.parallel_for(count, [&](std::int64_t i) {
    ctx.check_cancelled();
    const CopiedTensor& copy = plan.copied[static_cast<std::size_t>(i)];
    ctx.progress(
        {.stage = "copying", .item = copy.name, .done = done++, .total = count, .note = {}});
    write_tensor(ctx, source, copy, lock, writer);
  });
}

ExpectedLinears write_linears(const Context& ctx, const ConvertSource& source, const ConvertPlan& plan,
                           const ParamMap& params, layout::Writer& writer) {
  WriterLock lock(writer);
  std::mutex mutex;
  ExpectedLinears all;
  for_each_linear(ctx, plan.output, "converting", [&](const layout::LinearPlan& linear) {
    try {
      ExpectedLinear meant;
      const layout::StoredLinear stored =
          prepare_linear(*source.checkpoint, linear, *plan.layout, params, meant);
      {
        const auto alone = lock.take();
        writer.put_linear(stored.linear);
      }
      const std::lock_guard guard(mutex);
      all.emplace(linear.name, std::move(meant));
    } catch (const Error& failure) {
      if (failure.kind() != ErrorKind::unsupported) throw;
      rethrow_in_our_words(failure, linear.name);
    }
  });
  return all;
}

void warn(const Context& ctx, const ConvertSource& source, const ConvertPlan& plan) {
  for (const std::string& note : source.checkpoint->notes())
    ctx.warning(note);
  for (const std::string& note : layout::notes_of(*plan.layout, plan.output))
    ctx.warning(note);
  if (plan.without_activations) ctx.warning(layout::without_activations(*plan.layout));
}

std::size_t bytes_of(const std::vector<fs::path>& files) {
  std::size_t sum = 0;
  for (const fs::path& file : files)
    sum += fs::file_size(file);
  return sum;
}

std::size_t weight_bytes(const fs::path& folder, const std::vector<std::string>& files) {
  std::vector<fs::path> weights;
  for (const std::string& name : files) {
    if (!name.ends_with(".json")) weights.push_back(folder / name);
  }
  return bytes_of(weights);
}

}  // namespace

void for_each_linear(const Context& ctx, const layout::OutputPlan& plan, const std::string& stage,
                     const LinearVisitor& fn) {
  std::vector<const layout::LinearPlan*> linears;
  for (const layout::Item& item : plan.items) {
    if (item.linear.has_value()) linears.push_back(&*item.linear);
  }
  std::atomic<std::int64_t> done{0};
  CodeBudget in_hand;
  const auto total = static_cast<std::int64_t>(linears.size());
  ctx.parallel_for(total, [&](std::int64_t i) {
    ctx.check_cancelled();
    const layout::LinearPlan& linear = *linears[static_cast<std::size_t>(i)];
    const CodeBudget::Share share(in_hand, linear.out * linear.in);
    fn(linear);
    ctx.progress({.stage = stage, .item = linear.name, .done = ++done, .total = total, .note = {}});
  });
}

ConvertResult convert(const Context& ctx, const ConvertSource& source, const ConvertJob& job) {
  const Stopwatch watch;
  refuse_same_folder(source, job);
  const SourceInventory inventory = read_inventory(ctx, source);
  const ConvertPlan plan = plan_conversion(inventory, *source.checkpoint, *job.to);
  warn(ctx, source, plan);
  const auto stored = source.checkpoint->stored();
  ConvertResult result;
  result.copied = plan.copied.size();
  result.dropped = plan.dropped;
  result.source_tensors = stored->tensors().size();
  result.input_bytes = bytes_of(stored->files());
  result.linears = source.checkpoint->linears().size();
  io::OutputDir out(job.out, job.overwrite);
  ExpectedLinears meant;
  {
    const auto writer = job.to->create(plan.output, out.path(), job.params);
    write_tensors(ctx, source, plan, *writer);
    meant = write_linears(ctx, source, plan, job.params, *writer);
    result.output_bytes = weight_bytes(out.path(), writer->finish());
  }
  write_model_files({.model = source.folder, .layout = job.to, .output = &plan.output},
                   out.path());
  result.seconds_converting = watch.seconds();
  result.proof = verify_conversion(ctx, source, plan, job.params, meant, out.path());
  result.seconds_verifying = watch.seconds() - result.seconds_converting;
  result.peak_rss = peak_rss_bytes();
  result.seconds_total = watch.seconds();
  io::write_text(out.path() / "report.json", convert_report(source, job, result), 0640);
  ctx.check_cancelled();
  out.commit();
  return result;
}

}  // namespace pare::pipeline
