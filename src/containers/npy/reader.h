// Dictionaries of named arrays in `.npy` files, read by a pickle machine that never calls anything.
#pragma once

#include "containers/tensor_source.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

namespace pare::containers {

/// Opens one file made as a 0-d object array of dict[str, array]; values are numpy arrays or
/// torch tensors. Only the globals such files need are known; every other one is an error.
/// Where the file is absent and `<path>.safetensors` is there, that packed form of it is opened.
/// Errors: file_not_found, bad_npy.
std::unique_ptr<TensorSource> open_npy_dict(const std::filesystem::path& path);

/// "quant_weight.npy.safetensors" for "quant_weight.npy": what it is called when packed.
inline constexpr std::string_view kPackedNpyEnding = ".safetensors";
std::filesystem::path packed_npy_name(const std::filesystem::path& path);

/// True when `open_npy_dict` would find the file or its packed form.
bool npy_dict_exists(const std::filesystem::path& path) noexcept;

/// Length of the header before the pickle. Errors: bad_npy when the file is no saved dictionary.
std::size_t npy_dict_header_bytes(std::span<const std::byte> file);

}  // namespace pare::containers
