// The writer all layouts of this family share: it holds what arrives against the plan, turns
// linears into their tensors, and hands these to a sink that knows the container.
#pragma once

#include "layouts/ascend/description.h"
#include "layouts/ascend/parts.h"
#include "layouts/layout.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace pare::layout {

/// Where declared tensors go. Each arrives once; its bytes live only during the call.
class TensorSink {
 public:
  virtual ~TensorSink() = default;
  /// As Writer::concurrent.
  virtual bool concurrent() const noexcept { return false; }
  virtual void put(const DeclaredTensor& tensor, const TensorView& value,
                   const GiveBack& give_back) = 0;
  /// Completes the container. Returns the names of the files made, relative to the folder.
  virtual std::vector<std::string> finish() = 0;
};

/// The description beside the weights.
struct DescriptionFile {
  std::filesystem::path path;
  Description content;
};

std::unique_ptr<Writer> make_planned_writer(const OutputPlan& plan, Int4 int4,
                                            std::unique_ptr<TensorSink> sink,
                                            DescriptionFile description);

/// What no layout of this family can hold: "" or the reason. Covers schemes.
std::string refuse_scheme(const quant::Scheme& scheme);

/// The same for a plan: two tensors of one name, a tensor called like a key of the description, an
/// odd number of 4-bit codes to pack, or inputs that do not divide into the runs of scale_bias.
std::string refuse_plan(const OutputPlan& plan, Int4 int4);

/// Permissions of the files: only the owner reads weights, only the owner changes descriptions.
inline constexpr unsigned kWeightMode = 0400;
inline constexpr unsigned kJsonMode = 0600;

}  // namespace pare::layout
