// The functions of kAvx2Kernels that lie in a file of their own.
#pragma once

#include "codec/rans/rans_kernels.h"

namespace pare::codec::detail {

/// CodecKernels::decode_rans and encode_rans.
bool decode_rans_avx2(const DecodeTable* table, const RansTile* tiles, int count, const Ahead& in,
                      const Ahead& out);
void encode_rans_avx2(const EncodeTable* table, RansEncoding* tiles, int count, const Ahead& in);

}  // namespace pare::codec::detail
