// `.npy` files: plain f32 arrays, and pickled dictionaries of named arrays as msModelSlim writes.
#pragma once

#include "pare/tensor.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pare::containers {

/// One plain array, the same bytes as numpy.save. Shapes: any; bf16 is widened to f32.
/// Errors: output_not_writable; tensor_mismatch for types numpy lacks (f8).
void write_npy(const std::filesystem::path& path, const TensorView& array, unsigned mode = 0644);

/// What the values of a dictionary file are when Python unpickles it.
enum class NpyValues { numpy, torch };

/// A 0-d object array holding dict[str, array]: np.load(f, allow_pickle=True).item().
/// numpy values: protocol 3, `numpy.core.multiarray`; bf16 tensors become float32.
/// torch values: torch.Tensor through `_rebuild_tensor_v2`; bf16 stays bf16.
/// The entries' bytes are read once, one after the other: they may be mapped. `give_back` is called
/// between pieces: what was read may leave memory.
/// Errors: output_not_writable; tensor_mismatch (a type without such a form); internal (a name
/// twice). Source: CPython pickletools (protocol 3; 4 when a value has 4 GiB or more),
/// torch/serialization.py (legacy stream), numpy/lib/format.py.
class NpyDictWriter {
 public:
  NpyDictWriter(const std::filesystem::path& path, NpyValues values, unsigned mode);
  ~NpyDictWriter();
  void add(
      const std::string& name, const TensorView& value,
      const std::function<void()>& give_back = [] {});
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pare::containers
