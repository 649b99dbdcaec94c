// Makes the process's memory follow its formula.
#pragma once

namespace pare {

/// Large buffers go back to the system as soon as they are freed, instead of staying in the heap.
/// Called once at the start of a program; a library user may leave it out.
void return_freed_memory() noexcept;

}  // namespace pare
