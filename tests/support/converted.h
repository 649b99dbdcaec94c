// Made-up models as folders in any layout, converted and compared: for the tests of conversions.
#pragma once

#include "pare/context.h"
#include "pipeline/convert/convert.h"
#include "support/made_up_model.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>

namespace pare::test {

/// Parameters of a layout: its defaults, and files of a few KiB when `sharded` and it has files.
inline ParamMap params_of(const layout::Layout& layout, bool sharded) {
  ParamMap params;
  for (const ParamSpec& spec : layout.params) {
    if (sharded && spec.name == "part_file_size") params.set(spec, "0.000004", "test");
  }
  params.fill_defaults(layout.params);
  return params;
}

inline void write_folder(const layout::Layout& layout, const MadeUpModel& model,
                         const std::filesystem::path& folder, bool sharded = false) {
  std::filesystem::create_directory(folder);
  write_model(layout, model, folder, params_of(layout, sharded));
}

/// Errors: those of the conversion.
inline pipeline::ConvertResult convert_folder(const std::filesystem::path& from,
                                              const layout::Layout& to,
                                              const std::filesystem::path& out,
                                              bool sharded = false) {
  const Context ctx{1};
  const pipeline::ConvertSource source = pipeline::open_quantized(from);
  pipeline::ConvertJob job;
  job.out = out;
  job.to = &to;
  job.params = params_of(to, sharded);
  return pipeline::convert(ctx, source, job);
}

/// What a folder holds, as its own reader understands it.
struct Contents {
  std::map<std::string, quant::QuantizedLinear> linears;
  std::map<std::string, std::vector<float>> floats;

  explicit Contents(const std::filesystem::path& folder) {
    const pipeline::ConvertSource source = pipeline::open_quantized(folder);
    for (const std::string& name : source.checkpoint->linears())
      linears[name] = source.checkpoint->linear(name)->linear;
    for (const std::string& name : source.checkpoint->tensors())
      floats[name] = read_floats(*source.checkpoint->tensor(name));
  }
};

/// A scheme without what some layouts do not say: the grid, and whether a row is one group.
inline quant::Scheme essence(const quant::QuantizedLinear& q) {
  quant::Scheme scheme = q.scheme;
  scheme.form = quant::CodeForm::uniform;
  if (scheme.granularity != quant::Granularity::group || scheme.groups(q.in) > 1) return scheme;
  scheme.granularity = quant::Granularity::channel;
  scheme.group_size = 0;
  return scheme;
}

/// Every number of a linear, bit for bit.
inline void expect_same_numbers(const quant::QuantizedLinear& meant,
                                const quant::QuantizedLinear& found) {
  SCOPED_TRACE(meant.name);
  EXPECT_EQ(essence(found), essence(meant))
      << found.scheme.text() << " for " << meant.scheme.text();
  EXPECT_TRUE(found.codes == meant.codes) << "codes differ";
  EXPECT_EQ(found.scales, meant.scales);
  EXPECT_EQ(found.zeros, meant.zeros);
  EXPECT_EQ(found.row_scales, meant.row_scales);
  EXPECT_EQ(found.group_index, meant.group_index);
  EXPECT_EQ(found.exponent, meant.exponent);
  EXPECT_EQ(found.scale_dtype, meant.scale_dtype);
  ASSERT_EQ(found.bias.has_value(), meant.bias.has_value());
  if (meant.bias.has_value()) {
    EXPECT_EQ(read_floats(found.bias->view()), read_floats(meant.bias->view()));
  }
  ASSERT_EQ(found.input.has_value(), meant.input.has_value());
  if (!meant.input.has_value()) return;
  EXPECT_EQ(found.input->scale, meant.input->scale);
  EXPECT_EQ(found.input->zero_point, meant.input->zero_point);
}

inline void expect_same_contents(const Contents& meant, const Contents& found) {
  ASSERT_EQ(found.linears.size(), meant.linears.size());
  for (const auto& [name, linear] : meant.linears) {
    ASSERT_TRUE(found.linears.contains(name)) << name;
    expect_same_numbers(linear, found.linears.at(name));
  }
  EXPECT_EQ(found.floats, meant.floats);
}

}  // namespace pare::test
