// Where a model's numbers come from, whatever they are stored as.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/context.h"
#include "core/tensor.h"
#include "containers/tensor_source.h"
#include "quant/scheme.h"

namespace pare::model {

/// How a linear rounds its input: not at all, by fixed parameters, or per token.
struct ActivationQuant {
  quant::Activations kind = quant::Activations::none;
  float scale = 1;
  float zero_point = 0;

  friend bool operator==(const ActivationQuant&, const ActivationQuant&) = default;
};

/// A linear as it is computed: weight [O, I] (borrowed from a file, or made by dequantizing), bias.
struct LinearWeights {
  TensorView weight;
  Tensor owned;              // backs `weight` when it was made
  std::vector<float> bias;   // empty = none
  ActivationQuant input;
};

/// Threads: const members may be called from several threads at once.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  /// A linear by module name. Errors: tensor_missing.
  virtual LinearWeights linear(const Context& ctx, const std::string& module) const = 0;
  /// A float tensor by full name (norms, embedding), valid as long as the source.
  virtual TensorView tensor(const std::string& name) const = 0;
  /// Rows [first, first + count) of a float matrix by full name. They must lie inside.
  virtual TensorView rows(const std::string& name, std::int64_t first, std::int64_t count) const {
    return rows_of(tensor(name), first, count);
  }
  virtual bool has(const std::string& name) const = 0;
  /// Gives back mapped pages of a tensor or of a module's tensors.
  virtual void release(const std::string& name) const noexcept = 0;
};

/// The weights of a float checkpoint.
class FloatWeights final : public WeightSource {
 public:
  explicit FloatWeights(const containers::TensorSource& source) : source_(source) {}

  LinearWeights linear(const Context& ctx, const std::string& module) const override;
  TensorView tensor(const std::string& name) const override { return source_.read(name); }
  TensorView rows(const std::string& name, std::int64_t first,
                  std::int64_t count) const override {
    return source_.read_rows(name, first, count);
  }
  bool has(const std::string& name) const override { return source_.find(name) != nullptr; }
  void release(const std::string& name) const noexcept override;

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
  LinearWeights linear(const Context& ctx, const std::string& module) const override;
  TensorView tensor(const std::string& name) const override;
  TensorView rows(const std::string& name, std::int64_t first,
                  std::int64_t count) const override;
  bool has(const std::string& name) const override;
  void release(const std::string& name) const noexcept override { base_.release(name); }

 private:
  const WeightSource& base_;
  std::map<std::string, Tensor> patches_;
};

}  // namespace pare::model
