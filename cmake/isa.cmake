# Instruction-set variants of kernels: `<name>_<isa>.cpp` is compiled with the flags of its ISA and
# left out under PARE_SCALAR_ONLY. Such files include intrinsics and plain C headers only, so that
# no inline C++ function compiled for a newer CPU can be picked by the linker for an older one.
# They are optimised in every build type: one step through a model would take hours otherwise.
set(pare_isa_flags_amx -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mamx-tile
    -mamx-bf16 -mfma -mf16c)
set(pare_isa_flags_avx512bf16 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512bf16 -mfma -mf16c)
set(pare_isa_flags_avx512vbmi2 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi
    -mavx512vbmi2 -mpopcnt -mbmi2 -Wno-maybe-uninitialized)  # g++ 12 warns of its own intrinsics
set(pare_isa_flags_avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c)
set(pare_isa_flags_avx2 -mavx2 -mfma -mf16c)

function(pare_apply_isa_flags out_sources)
  set(kept)
  foreach(source IN LISTS ARGN)
    if(source MATCHES "_(amx|avx512bf16|avx512vbmi2|avx512|avx2)\\.cpp$")
      set(isa ${CMAKE_MATCH_1})  # the next MATCHES overwrites it
      if(PARE_SCALAR_ONLY OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        continue()
      endif()
      set_source_files_properties(${source} PROPERTIES
                                  COMPILE_OPTIONS "-O3;${pare_isa_flags_${isa}}"
                                  SKIP_PRECOMPILE_HEADERS ON)
    endif()
    list(APPEND kept ${source})
  endforeach()
  set(${out_sources} ${kept} PARENT_SCOPE)
endfunction()

if(PARE_SCALAR_ONLY)
  add_compile_definitions(PARE_SCALAR_ONLY HWY_COMPILE_ONLY_SCALAR)
endif()
