// Where a model's numbers come from, whatever they are stored as.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pare/context.h"
#include "pare/tensor.h"
#include "containers/tensor_source.h"
#include "model/graph.h"
#include "quant/float_linear.h"

namespace pare::model {

/// Threads: const members may be called from several threads at once.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  /// The weight and bias of a linear, the head included. Errors: tensor_missing.
  virtual quant::FloatLinear linear(const Context& ctx, const Module& module) const = 0;
  /// A float tensor by full name (norms, embedding), valid as long as the source.
  virtual TensorView tensor(const std::string& name) const = 0;
  /// Rows [first, first + count) of a float matrix by full name. They must lie inside.
  virtual TensorView rows(const std::string& name, std::int64_t first, std::int64_t count) const {
    return rows_of(tensor(name), first, count);
  }
  virtual bool has(const std::string& name) const = 0;
  /// Gives back mapped pages of a float tensor, or of a linear.
  virtual void release(const std::string& name) const noexcept = 0;
  virtual void release(const Module& module) const noexcept = 0;
};

/// The weights of a float checkpoint.
class FloatWeights final : public WeightSource {
 public:
  explicit FloatWeights(const containers::TensorSource& source) : source_(source) {}

  quant::FloatLinear linear(const Context& ctx, const Module& module) const override;
  TensorView tensor(const std::string& name) const override { return source_.read(name); }
  TensorView rows(const std::string& name, std::int64_t first,
                  std::int64_t count) const override {
    return source_.read_rows(name, first, count);
  }
  bool has(const std::string& name) const override { return source_.find(name) != nullptr; }
  void release(const std::string& name) const noexcept override { source_.release(name); }
  void release(const Module& module) const noexcept override;

 private:
  const containers::TensorSource& source_;
};

/// Another source with some of its tensors replaced, or joined, by tensors in memory.
/// Threads: as WeightSource while no patch is put or taken away.
class PatchedWeights final : public WeightSource {
 public:
  /// `base` must outlive this object.
  explicit PatchedWeights(const WeightSource& base) : base_(base) {}

  void put(const std::string& name, Tensor tensor) { patches_[name] = std::move(tensor); }
  void clear() noexcept { patches_.clear(); }
  /// nullptr when the base has the last word.
  const Tensor* patch(const std::string& name) const;

  /// Linears of float bases: weight and bias are replaced one by one.
  quant::FloatLinear linear(const Context& ctx, const Module& module) const override;
  TensorView tensor(const std::string& name) const override;
  TensorView rows(const std::string& name, std::int64_t first,
                  std::int64_t count) const override;
  bool has(const std::string& name) const override;
  void release(const std::string& name) const noexcept override { base_.release(name); }
  void release(const Module& module) const noexcept override { base_.release(module); }

 private:
  const WeightSource& base_;
  std::map<std::string, Tensor> patches_;
};

}  // namespace pare::model
