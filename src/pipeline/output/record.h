// What a run remembers of the linears and tensors that it has written.
#pragma once

#include "layouts/scale_rounding.h"
#include "pare/quantized_linear.h"
#include "pipeline/output/code_stats.h"
#include "quant/distortion.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace pare::pipeline {

/// What was done to a linear so that a layout has a place for it.
struct FitReport {
  layout::ScaleRounding scales;
  std::int64_t refitted_groups = 0;  // quantized again, because the user allows it

  void add(const FitReport& other) noexcept;
};

/// What is known of one linear when it is done; its codes, which are large, are not kept.
struct LinearRecord {
  std::string name;
  std::int64_t out = 0;
  std::int64_t in = 0;
  std::vector<std::uint64_t> contents;  // what each output must hold: see content.h
  std::optional<quant::ActivationParams> input;

  // Of linears made from floats:
  quant::Distortion weight;
  std::optional<quant::Distortion> output;  // on sampled calibration rows
  double bits_per_weight = 0;               // codes, scales and zeros
  CodeStats codes;
  double error_bound = std::numeric_limits<double>::infinity();  // that rounding can explain

  // Of linears taken over from another layout:
  FitReport fit;
  double weight_difference = 0;  // largest, to the linear of the source
};

/// A float tensor that a transform made.
struct RewrittenRecord {
  std::string name;
  std::uint64_t values = 0;  // hash of its values as f32, in the type of the file
};

/// How far float tensors moved: 0 where the layout keeps their type.
struct FloatDifference {
  std::size_t tensors = 0;  // whose values changed
  double worst = 0;
};

/// What became of one output.
struct OutputRecord {
  std::vector<RewrittenRecord> rewritten;
  std::vector<std::string> files;
  std::size_t bytes = 0;             // of the weight files as they lie on disk
  std::size_t verified_tensors = 0;  // found again with name, type and shape
  FloatDifference floats;
  std::optional<std::size_t> packed_estimate;  // of its weight files, compressed
};

struct RunResult {
  std::vector<LinearRecord> linears;  // in the order of the model
  std::vector<OutputRecord> outputs;  // in the order of the plan's
  double seconds_writing = 0;
  double seconds_verifying = 0;
  double seconds_total = 0;
  std::size_t peak_rss = 0;
};

}  // namespace pare::pipeline
