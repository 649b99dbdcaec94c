#include "pipeline/quantize/transforms.h"

#include "layouts/layout.h"

#include <algorithm>
#include <vector>

namespace pare::pipeline {
namespace {

bool norm_biases_have_a_place(const QuantSpec& spec) {
  return std::all_of(spec.layouts.begin(), spec.layouts.end(), [](const layout::Layout* layout) {
    return layout->norm_bias != layout::NormBias::none;
  });
}

/// What the codes of a weight will stand for: as the method says, or as it quantizes.
transform::FakeQuantizeWeight fake_quantize_of(const Plan& plan) {
  const quant::Method& method = *plan.spec.method;
  const quant::Scheme& scheme = plan.spec.scheme;
  if (method.fake_quantize != nullptr) {
    return [&method, &scheme](const Context& ctx, MatrixView<float> weight) {
      method.fake_quantize(ctx, scheme, weight);
    };
  }
  return [&](const Context& ctx, MatrixView<float> weight) {
    const std::span<const float> values(weight.data,
                                        static_cast<std::size_t>(weight.rows * weight.cols));
    const TensorView view{DType::f32, Shape{weight.rows, weight.cols}, std::as_bytes(values)};
    quant::dequantize(ctx, method.quantize(ctx, {view, scheme, DType::f32, plan.job.params}),
                      weight);
  };
}

bool is_wanted(const Plan& plan, const transform::ScaleGroup& group) {
  return std::any_of(group.consumers.begin(), group.consumers.end(),
                     [&](const model::Module& linear) { return plan.linears.quantizes(linear); });
}

std::vector<std::int64_t> sample_lengths(const Plan& plan) {
  std::vector<std::int64_t> lengths;
  for (const auto& sequence : plan.calibration->sequences) {
    lengths.push_back(static_cast<std::int64_t>(sequence.size()));
  }
  return lengths;
}

PlannedTransform plan_transform(Plan& plan, const transform::Transform& transform) {
  PlannedTransform planned;
  planned.transform = &transform;
  planned.adds_biases = transform.adds_biases && norm_biases_have_a_place(plan.spec);
  planned.samples = transform.samples(plan.job.params, sample_lengths(plan));
  for (std::int64_t block = 0; block < plan.graph->config.layers; ++block) {
    std::vector<transform::ScaleGroup> groups = transform.groups(*plan.graph, block);
    std::erase_if(groups, [&](const auto& group) { return !is_wanted(plan, group); });
    for (const transform::ScaleGroup& group : groups) {
      plan.rewritten[group.producer.name] = block;
      for (const model::Module& linear : group.consumers)
        plan.rewritten[linear.name] = block;
    }
    planned.groups.push_back(std::move(groups));
  }
  return planned;
}

transform::GroupSize size_of_group(const Plan& plan, const transform::ScaleGroup& group) {
  transform::GroupSize size;
  for (const model::Module& linear : group.consumers) {
    size.out += linear.out();
    size.in = linear.in();
    size.bytes += static_cast<std::size_t>(linear.weights()) *
                  size_of(plan.source->find(linear.source)->dtype);
  }
  return size;
}

}  // namespace

void check_transforms(const Plan& plan) {
  for (const transform::Transform* transform : transform::transforms()) {
    transform->check(plan.spec.scheme, plan.job.params);
  }
}

void plan_transforms(Plan& plan) {
  plan.transforms.clear();
  plan.rewritten.clear();
  if (!plan.calibration.has_value()) return;
  for (const transform::Transform* transform : transform::transforms()) {
    if (!plan.job.params.flag(transform->flag)) continue;
    plan.transforms.push_back(plan_transform(plan, *transform));
  }
}

transform::TransformJob transform_job(const Plan& plan, const PlannedTransform& planned) {
  return {plan.spec.scheme, plan.job.params, planned.adds_biases, fake_quantize_of(plan)};
}

std::size_t transform_bytes(const Plan& plan, std::size_t not_there_yet) {
  std::size_t most = 0;
  for (const PlannedTransform& planned : plan.transforms) {
    const transform::TransformJob job = transform_job(plan, planned);
    for (const std::vector<transform::ScaleGroup>& block : planned.groups) {
      std::size_t kept = 0;
      std::size_t search = 0;
      for (const transform::ScaleGroup& group : block) {
        const transform::TransformCost cost =
            planned.transform->cost(size_of_group(plan, group), planned.samples, job);
        kept += cost.kept;
        search = std::max(search, cost.search);
      }
      most = std::max(most, kept + (search > not_there_yet ? search - not_there_yet : 0));
    }
  }
  return most;
}

double transform_products(const Plan& plan) {
  double products = 0;
  for (const PlannedTransform& planned : plan.transforms) {
    const transform::TransformJob job = transform_job(plan, planned);
    for (const std::vector<transform::ScaleGroup>& block : planned.groups) {
      for (const transform::ScaleGroup& group : block) {
        products +=
            planned.transform->cost(size_of_group(plan, group), planned.samples, job).products;
      }
      // The forward pass over attention that shows the norms of the block.
      const auto side = static_cast<double>(plan.graph->config.hidden_size);
      if (!block.empty()) products += 4 * side * side * static_cast<double>(planned.samples.tokens);
    }
  }
  return products;
}

}  // namespace pare::pipeline
