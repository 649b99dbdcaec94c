# Precompiled headers: what nearly every file includes is parsed once instead of hundreds of times.
# They only save time. Every file still includes what it uses, and compiles with PARE_PCH=OFF.
# A room gets the headers of the libraries it may use: fmt with core, JSON with io.
option(PARE_PCH "Precompile the headers that most files include" ON)

set(pare_std_headers <algorithm> <array> <cmath> <cstddef> <cstdint> <cstring> <filesystem>
    <functional> <limits> <map> <memory> <optional> <set> <span> <string> <string_view> <utility>
    <vector>)
set(pare_core_headers ${pare_std_headers} <fmt/format.h> <fmt/ranges.h>)
set(pare_io_headers ${pare_core_headers} ${CMAKE_SOURCE_DIR}/src/io/nlohmann.h)

# pare_precompile(target HEADERS … | FROM owner): headers of its own, or those of a target that is
# compiled with the same flags.
function(pare_precompile target)
  cmake_parse_arguments(arg "" "FROM" "HEADERS" ${ARGN})
  if(NOT PARE_PCH)
    return()
  endif()
  if(arg_FROM)
    target_precompile_headers(${target} REUSE_FROM ${arg_FROM})
  else()
    target_precompile_headers(${target} PRIVATE ${arg_HEADERS})
  endif()
  # ccache preprocesses, and must then see that a precompiled header takes part.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)
  endif()
endfunction()

# core and io own the precompiled headers of the rooms; the others take those they may see. kernels
# goes without: Highway switches instruction sets inside a file, which g++ gets wrong after one.
function(pare_precompile_room name)
  if(name STREQUAL kernels)
    return()
  elseif(name STREQUAL core OR name STREQUAL io)
    pare_precompile(pare_${name} HEADERS ${pare_${name}_headers})
  elseif(name STREQUAL layouts)  # numbers and JSON: the headers of io at the level of core
    pare_precompile(pare_layouts HEADERS ${pare_io_headers})
  elseif(io IN_LIST ARGN AND NOT name IN_LIST pare_rooms_of_numbers)
    pare_precompile(pare_${name} FROM pare_io)
  else()
    pare_precompile(pare_${name} FROM pare_core)
  endif()
endfunction()
