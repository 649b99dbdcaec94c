// The functions of kAvx512Vbmi2Kernels that lie in files of their own.
#pragma once

#include "codec/rans/rans_kernels.h"

namespace pare::codec::detail {

/// CodecKernels::decode_rans, for up to kMostTiles tiles.
bool decode_rans_avx512vbmi2(const DecodeTable* table, const RansTile* tiles, int count,
                             const Ahead& in, const Ahead& out);
/// CodecKernels::encode_rans.
void encode_rans_avx512vbmi2(const EncodeTable* table, RansEncoding* tiles, int count,
                             const Ahead& in);

}  // namespace pare::codec::detail
