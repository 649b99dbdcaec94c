#include "eval/sampler.h"

#include "pare/error.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pare::eval {
namespace {

struct Candidate {
  double weight = 0;  // not normalized
  text::TokenId id = 0;
};

std::size_t first_maximum(std::span<const float> logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// All tokens by falling weight, equal ones by id, so that the order is the same everywhere.
std::vector<Candidate> ranked(std::span<const float> logits, double max, double temperature) {
  std::vector<Candidate> candidates(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    candidates[i] = {std::exp((static_cast<double>(logits[i]) - max) / temperature),
                     static_cast<text::TokenId>(i)};
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
  });
  return candidates;
}

double sum_of(const std::vector<Candidate>& candidates) {
  double sum = 0;
  for (const Candidate& candidate : candidates)
    sum += candidate.weight;
  return sum;
}

void keep_nucleus(std::vector<Candidate>& candidates, double top_p) {
  if (top_p >= 1) return;
  const double wanted = top_p * sum_of(candidates);
  double sum = 0;
  std::size_t kept = 0;
  do {
    sum += candidates[kept++].weight;
  } while (kept < candidates.size() && sum < wanted);
  candidates.resize(kept);
}

text::TokenId draw(const std::vector<Candidate>& candidates, Rng& rng) {
  double left = rng.uniform() * sum_of(candidates);
  for (const Candidate& candidate : candidates) {
    left -= candidate.weight;
    if (left < 0) return candidate.id;
  }
  return candidates.back().id;
}

}  // namespace

text::TokenId choose_token(std::span<const float> logits, const SamplerOptions& options, Rng& rng) {
  if (!std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); })) {
    throw Error(ErrorCode::not_finite, "the model's logits hold NaN or infinity")
        .hint("`pare inspect MODEL --scan` finds damaged weights");
  }
  const std::size_t top = first_maximum(logits);
  if (options.temperature <= 0) return static_cast<text::TokenId>(top);
  std::vector<Candidate> candidates =
      ranked(logits, static_cast<double>(logits[top]), options.temperature);
  keep_nucleus(candidates, options.top_p);
  return draw(candidates, rng);
}

}  // namespace pare::eval
