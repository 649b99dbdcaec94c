// `.npy` files: plain f32 arrays, and pickled dictionaries of named arrays as msModelSlim writes.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace pare::formats {

/// One plain array (version 1.0 header). Shapes: any; bf16 is widened to f32.
/// Errors: output_not_writable.
void write_npy(const std::filesystem::path& path, const TensorView& array, unsigned mode = 0644);

/// What the values of a dictionary file are when Python unpickles it.
enum class NpyValues { numpy, torch };

/// A 0-d object array holding dict[str, array]: np.load(f, allow_pickle=True).item().
/// numpy values: protocol 3, `numpy.core.multiarray`; bf16 tensors become float32.
/// torch values: torch.Tensor through `_rebuild_tensor_v2`; bf16 stays bf16.
/// The entries' bytes are read once, one after the other: they may be mapped.
class NpyDictWriter {
 public:
  NpyDictWriter(const std::filesystem::path& path, NpyValues values, unsigned mode);
  ~NpyDictWriter();
  void add(const std::string& name, const TensorView& value);
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pare::formats
