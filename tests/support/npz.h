// Reads NumPy's .npz for tests: a zip of .npy files, stored or deflated, little-endian, C order.
// Trusted input only; anything unexpected throws std::runtime_error.
#pragma once

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace pare::test {

/// One array; `type` as NumPy writes it: "<f4", "<f2", "|i1".
struct NpyArray {
  std::string type;
  std::vector<std::int64_t> shape;
  std::string bytes;

  std::int64_t numel() const {
    std::int64_t product = 1;
    for (const std::int64_t dim : shape)
      product *= dim;
    return product;
  }

  /// The values, when they are of type T.
  template <typename T>
  std::vector<T> values() const {
    if (bytes.size() != static_cast<std::size_t>(numel()) * sizeof(T)) {
      throw std::runtime_error("npy: element size of " + type + " is not the one asked for");
    }
    std::vector<T> out(static_cast<std::size_t>(numel()));
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
};

namespace npz_detail {

inline std::uint32_t little_endian(const std::string& data, std::size_t at, int bytes) {
  if (at + static_cast<std::size_t>(bytes) > data.size()) throw std::runtime_error("npz: cut off");
  std::uint32_t value = 0;
  for (int i = 0; i < bytes; ++i) {
    const auto byte = static_cast<unsigned char>(data[at + static_cast<std::size_t>(i)]);
    value |= static_cast<std::uint32_t>(byte) << (8 * i);
  }
  return value;
}

inline std::string inflate_raw(const std::string& packed, std::size_t size) {
  std::string out(size, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::runtime_error("npz: zlib");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(size);
  const int status = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  if (status != Z_STREAM_END || stream.avail_out != 0) throw std::runtime_error("npz: bad deflate");
  return out;
}

/// The text between `open` and `close` after `key` in the header's Python dict.
inline std::string header_field(const std::string& header, const std::string& key, char open,
                                char close) {
  const std::size_t begin = header.find(open, header.find("'" + key + "'") + key.size() + 2);
  const std::size_t end = header.find(close, begin + 1);
  if (end == std::string::npos) throw std::runtime_error("npy: no " + key);
  return header.substr(begin + 1, end - begin - 1);
}

inline NpyArray parse_npy(const std::string& file) {
  if (file.compare(0, 6, "\x93NUMPY") != 0) throw std::runtime_error("npy: no magic");
  const bool long_header = file.at(6) > 1;
  const std::size_t start = long_header ? 12 : 10;
  const std::size_t length = little_endian(file, 8, long_header ? 4 : 2);
  const std::string header = file.substr(start, length);
  if (header.find("'fortran_order': False") == std::string::npos) {
    throw std::runtime_error("npy: Fortran order");
  }
  NpyArray array;
  array.type = header_field(header, "descr", '\'', '\'');
  const std::string dims = header_field(header, "shape", '(', ')');
  for (std::size_t at = 0; at < dims.size();) {
    const std::size_t comma = std::min(dims.find(',', at), dims.size());
    if (dims.find_first_of("0123456789", at) < comma) {
      array.shape.push_back(std::stoll(dims.substr(at, comma - at)));
    }
    at = comma + 1;
  }
  array.bytes = file.substr(start + length);
  return array;
}

}  // namespace npz_detail

/// All arrays of a .npz by name (without ".npy").
inline std::map<std::string, NpyArray> load_npz(const std::string& path) {
  using npz_detail::little_endian;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw std::runtime_error("npz: cannot open " + path);
  const std::string file((std::istreambuf_iterator<char>(stream)), {});
  const std::size_t end = file.rfind("PK\x05\x06");
  if (end == std::string::npos) throw std::runtime_error("npz: no zip directory in " + path);
  const std::uint32_t entries = little_endian(file, end + 10, 2);
  std::size_t at = little_endian(file, end + 16, 4);
  std::map<std::string, NpyArray> arrays;
  for (std::uint32_t i = 0; i < entries; ++i) {
    const std::uint32_t method = little_endian(file, at + 10, 2);
    const std::size_t packed_size = little_endian(file, at + 20, 4);
    const std::size_t size = little_endian(file, at + 24, 4);
    const std::size_t name_length = little_endian(file, at + 28, 2);
    const std::size_t extra = little_endian(file, at + 30, 2) + little_endian(file, at + 32, 2);
    const std::size_t local = little_endian(file, at + 42, 4);
    const std::string name = file.substr(at + 46, name_length);
    const std::size_t data =
        local + 30 + little_endian(file, local + 26, 2) + little_endian(file, local + 28, 2);
    const std::string packed = file.substr(data, packed_size);
    const std::string npy = method == 0 ? packed : npz_detail::inflate_raw(packed, size);
    arrays[name.substr(0, name.rfind(".npy"))] = npz_detail::parse_npy(npy);
    at += 46 + name_length + extra;
  }
  return arrays;
}

}  // namespace pare::test
