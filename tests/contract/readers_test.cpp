// What every reader of checkpoints must do: claim its own files and nothing else, give tensors that
// agree with each other, and answer a cut file with an error that names it. What single changed
// bytes do is tested in tests/formats.
#include "containers/packed/weight_ranges.h"
#include "containers/packed/writer.h"
#include "containers/safetensors_files.h"
#include "containers/tensor_source.h"
#include "pare/error.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <future>
#include <map>
#include <set>

namespace pare::containers {
namespace {

namespace fs = std::filesystem;
using pare::test::get_file;
using pare::test::names_in;
using pare::test::put_file;
using pare::test::TempDir;
using test::bytes_of;
using test::info_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// What every sample holds.
std::vector<TensorInfo> sample_tensors() {
  return {info_of("b.weight", DType::i8, {400, 100}), info_of("a", DType::f32, {6, 8}),
          info_of("b.bias", DType::bf16, {6}), info_of("none", DType::f16, {0, 3}),
          info_of("one", DType::i64, {})};
}

/// The bytes of the k-th: few values, so that coding pays.
Tensor sample_values(std::size_t k) {
  const TensorInfo info = sample_tensors()[k];
  Tensor tensor(info.dtype, info.shape);
  for (std::size_t i = 0; i < info.nbytes(); ++i)
    tensor.bytes()[i] = static_cast<std::byte>(k + i * i % 7);
  return tensor;
}

void write_sample(const SafetensorsLayout& layout) {
  const std::vector<TensorInfo> tensors = sample_tensors();
  SafetensorsWriter writer(layout, tensors);
  for (std::size_t k = 0; k < tensors.size(); ++k)
    writer.write(tensors[k].name, sample_values(k).view());
  writer.finish();
}

void write_one_file(const fs::path& folder) {
  write_sample({.folder = folder, .base_name = "model"});
}

void write_shards(const fs::path& folder) {
  write_sample({.folder = folder, .base_name = "model", .max_shard_bytes = 200});
}

void write_packed(const fs::path& folder) {
  const TempDir original;
  write_one_file(original.path());
  const io::MappedFile file(original / "model.safetensors");
  const PackedResult packed =
      pack_file(Context(1), file, safetensors_ranges(file), folder / "model.safetensors", {});
  const auto is_coded = [](const PackedTensor& tensor) { return tensor.coded; };
  EXPECT_TRUE(std::any_of(packed.tensors.begin(), packed.tensors.end(), is_coded));
}

using WriteSample = std::function<void(const fs::path& folder)>;

/// Folders that a reader must open, by its id. A new reader brings its own.
const std::map<std::string_view, std::map<std::string, WriteSample>>& all_samples() {
  static const std::map<std::string_view, std::map<std::string, WriteSample>> samples = {
      {"safetensors",
       {{"one file", write_one_file}, {"shards", write_shards}, {"packed", write_packed}}},
  };
  return samples;
}

std::map<std::string, std::string> everything_in(const TensorSource& source) {
  std::map<std::string, std::string> contents;
  for (const TensorInfo& info : source.tensors())
    contents[info.name] = bytes_of(source.read(info.name));
  return contents;
}

class EveryReader : public ::testing::TestWithParam<const Reader*> {
 protected:
  const Reader& reader() const { return *GetParam(); }

  /// Calls `check(folder)` for every sample of this reader, each in a folder of its own.
  template <typename Check>
  void for_each_sample(const Check& check) const {
    const auto found = all_samples().find(reader().id);
    ASSERT_NE(found, all_samples().end()) << "a reader needs samples in this file";
    for (const auto& [name, write] : found->second) {
      SCOPED_TRACE(name);
      const TempDir folder;
      write(folder.path());
      check(folder.path());
    }
  }
};

INSTANTIATE_TEST_SUITE_P(All, EveryReader, ::testing::ValuesIn(readers().begin(), readers().end()),
                         [](const auto& reader) { return std::string(reader.param->id); });

TEST(Readers, DescribeThemselves) {
  std::set<std::string_view> ids;
  for (const Reader* reader : readers()) {
    EXPECT_TRUE(ids.insert(reader->id).second) << reader->id << " is there twice";
    EXPECT_GT(reader->summary.size(), 10U) << reader->id;
    EXPECT_FALSE(reader->summary.ends_with('.')) << reader->id;
  }
}

TEST_P(EveryReader, ClaimsItsSamplesAndNobodyElseDoes) {
  for_each_sample([&](const fs::path& folder) {
    for (const Reader* other : readers())
      EXPECT_EQ(other->probe(folder), other == &reader()) << other->id;
    EXPECT_EQ(everything_in(*open_checkpoint(folder)), everything_in(*reader().open(folder)));
  });
}

TEST_P(EveryReader, ClaimsNothingThatIsNoCheckpoint) {
  const TempDir folder;
  EXPECT_FALSE(reader().probe(folder.path())) << "an empty folder";
  EXPECT_FALSE(reader().probe(folder / "absent"));
  EXPECT_FALSE(reader().probe("/dev/null"));
  const std::map<std::string, std::string> others = {
      {"config.json", R"({"model_type": "llama"})"},
      {"notes.txt", "The quick brown fox"},
      {"empty.dat", ""},
      {"zeros.dat", std::string(64, '\0')},
      {"ones.dat", std::string(64, '\xff')},
      {"brace.dat", "{" + std::string(64, ' ')},
      {"archive.zip", "PK\x03\x04" + std::string(60, 'x')},
      {"pickle.bin", "\x80\x02}q" + std::string(60, 'x')},
      {"array.dat", "\x93NUMPY" + std::string(60, 'x')},
      {"other.dat", "GGUF\x03" + std::string(60, '\0')},
  };
  for (const auto& [name, content] : others) {
    put_file(folder / name, content);
    EXPECT_FALSE(reader().probe(folder / name)) << name;
    EXPECT_THROW(reader().open(folder / name), Error) << name;
  }
  EXPECT_FALSE(reader().probe(folder.path())) << "a folder of such files";
  EXPECT_THROW(reader().open(folder.path()), Error);
  EXPECT_THROW(reader().open(folder / "absent"), Error);
}

TEST_P(EveryReader, GivesEveryTensorAsItWasWritten) {
  for_each_sample([&](const fs::path& folder) {
    const auto source = reader().open(folder);
    const std::vector<TensorInfo> meant = sample_tensors();
    ASSERT_EQ(source->tensors().size(), meant.size());
    for (std::size_t k = 0; k < meant.size(); ++k) {
      const TensorInfo* found = source->find(meant[k].name);
      ASSERT_NE(found, nullptr) << meant[k].name;
      EXPECT_EQ(found->dtype, meant[k].dtype);
      EXPECT_EQ(found->shape, meant[k].shape);
      const TensorView view = source->read(meant[k].name);
      EXPECT_EQ(view.dtype, meant[k].dtype);
      EXPECT_EQ(view.shape, meant[k].shape);
      EXPECT_EQ(bytes_of(view), bytes_of(sample_values(k).view()));
    }
  });
}

TEST_P(EveryReader, ListsTensorsByNameAndKnowsNoOthers) {
  for_each_sample([&](const fs::path& folder) {
    const auto source = reader().open(folder);
    const auto by_name = [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; };
    EXPECT_TRUE(std::is_sorted(source->tensors().begin(), source->tensors().end(), by_name));
    for (const TensorInfo& info : source->tensors()) {
      EXPECT_EQ(source->find(info.name), &info);
      EXPECT_TRUE(fs::exists(folder / source->file_of(info.name))) << info.name;
    }
    for (const std::string_view name : {"", "b", "b.weigh", "b.weights"}) {
      EXPECT_EQ(source->find(name), nullptr);
      EXPECT_EQ(source->file_of(name), "");
      source->release(name);
      source->populate(name);
    }
    EXPECT_THAT(PARE_ERROR_TEXT(tensor_missing, source->read("b.weigh")), HasSubstr("b.weight"));
    EXPECT_THAT(source->files(), Not(IsEmpty()));
    for (const fs::path& file : source->files())
      EXPECT_TRUE(fs::is_regular_file(file)) << file;
  });
}

TEST_P(EveryReader, GivesRowsAndGivesThemAgain) {
  for_each_sample([&](const fs::path& folder) {
    const auto source = reader().open(folder);
    const std::string whole = bytes_of(source->read("b.weight"));
    source->release("b.weight");
    source->populate("b.weight");
    for (std::int64_t first = 0; first < 400; first += 57) {
      const TensorView rows = source->read_rows("b.weight", first, 1);
      EXPECT_EQ(rows.shape, (Shape{1, 100}));
      EXPECT_EQ(bytes_of(rows), whole.substr(static_cast<std::size_t>(first) * 100, 100));
    }
    source->release("b.weight");
    EXPECT_EQ(bytes_of(source->read("b.weight")), whole);
  });
}

TEST_P(EveryReader, MayBeReadByManyThreads) {
  for_each_sample([&](const fs::path& folder) {
    const auto source = reader().open(folder);
    std::vector<std::future<std::map<std::string, std::string>>> found;
    for (int i = 0; i < 4; ++i)
      found.push_back(std::async(std::launch::async, [&] { return everything_in(*source); }));
    const auto meant = everything_in(*reader().open(folder));
    for (auto& contents : found)
      EXPECT_EQ(contents.get(), meant);
  });
}

TEST_P(EveryReader, RefusesFilesThatWereCutOrAreGone) {
  for_each_sample([&](const fs::path& folder) {
    for (const std::string& name : names_in(folder)) {
      const std::string whole = get_file(folder / name);
      const auto expect_refused = [&] {
        try {
          everything_in(*reader().open(folder));
          ADD_FAILURE() << "accepted";
        } catch (const Error& error) {
          EXPECT_NE(error.code(), ErrorCode::internal) << error.what();
          EXPECT_THAT(error.what(), HasSubstr(folder.string()));
        }
      };
      for (std::size_t size = 0; size < whole.size(); size += 1 + whole.size() / 41) {
        SCOPED_TRACE(name + " cut to " + std::to_string(size));
        fs::resize_file(folder / name, size);
        expect_refused();
        put_file(folder / name, whole);
      }
      SCOPED_TRACE(name + " is gone");
      fs::remove(folder / name);
      if (!name.ends_with(".json")) expect_refused();  // complete shards need no index
      put_file(folder / name, whole);
    }
  });
}

}  // namespace
}  // namespace pare::containers
