# How much a Release build optimises: -O3 where loops over numbers are, less where the compiler's
# time buys nothing. A target has one level and a precompiled header of that level: g++ would give
# inline functions the level of the header.
set(pare_rooms_of_numbers core kernels codec quant model calib transform layouts)

function(pare_optimise target level)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:${level}>)
endfunction()

function(pare_optimise_room name)
  if(NOT name IN_LIST pare_rooms_of_numbers)
    pare_optimise(pare_${name} -O2)
  endif()
endfunction()
