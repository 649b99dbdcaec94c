// The heap of the process.
#pragma once

namespace pare {

/// Gives what was freed back to the system, wherever it lies: after work that needed many small
/// pieces, such as reading a tokenizer, and before work whose memory is planned.
void trim_heap() noexcept;

}  // namespace pare
