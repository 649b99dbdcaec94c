// Names of schemes.
#include "pare/error.h"
#include "quant/named_schemes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pare::quant {
namespace {

TEST(Scheme, CodesOfEachWidth) {
  Scheme scheme;
  scheme.weight_bits = 4;
  EXPECT_EQ(scheme.qmin(), -8);
  EXPECT_EQ(scheme.qmax(), 7);
  scheme.weight_bits = 8;
  EXPECT_EQ(scheme.qmin(), -128);
  EXPECT_EQ(scheme.qmax(), 127);
}

TEST(Scheme, TextSaysWhatIsNotTheDefault) {
  Scheme scheme;
  EXPECT_EQ(scheme.text(), "w8a16");
  scheme.activations = Activations::static_tensor;
  EXPECT_EQ(scheme.text(), "w8a8");
  scheme.activations = Activations::dynamic_token;
  EXPECT_EQ(scheme.text(), "w8a8-dynamic");
  scheme = {8, false, Granularity::tensor, 0, Activations::none};
  EXPECT_EQ(scheme.text(), "w8a16 per-tensor asym");
  scheme = {4, true, Granularity::group, 64, Activations::none};
  EXPECT_EQ(scheme.text(), "w4a16 g64");
  scheme = {4, true, Granularity::channel, 0, Activations::dynamic_token};
  EXPECT_EQ(scheme.text(), "w4a8-dynamic");
}

TEST(Scheme, NamedSchemesAndTheirTags) {
  EXPECT_EQ(named_scheme_choices(), "w8a8|w8a8-dynamic|w8a8s|w8a16|w4a16|w4a8-dynamic");
  for (const NamedScheme& named : named_schemes()) {
    Scheme scheme;
    scheme.weight_bits = named.weight_bits;
    scheme.activations = named.activations;
    scheme.form = named.form;
    EXPECT_EQ(&find_named_scheme(named.id), &named);
    EXPECT_EQ(scheme.text(), named.id);
    EXPECT_EQ(scheme_tag_of(scheme), named.scheme_tag);
  }
  EXPECT_EQ(find_named_scheme("w8a8-dynamic").scheme_tag, "W8A8_DYNAMIC");
  EXPECT_EQ(scheme_tag_of({4, true, Granularity::channel, 0, Activations::static_tensor}), "");
}

TEST(Scheme, UnknownNameSuggestsTheNearest) {
  try {
    find_named_scheme("w8a8dynamic");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unknown_entry);
    EXPECT_THAT(error.what(), testing::HasSubstr("did you mean \"w8a8-dynamic\""));
  }
}

TEST(Scheme, UnknownNameFarFromAllListsThem) {
  try {
    find_named_scheme("something-else");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                testing::HasSubstr("w8a8, w8a8-dynamic, w8a8s, w8a16, w4a16, w4a8-dynamic"));
  }
}

}  // namespace
}  // namespace pare::quant
