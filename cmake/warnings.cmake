# The warnings every room is held to; errors under PARE_WERROR (preset dev).
# Designated initialisers may leave members at their defaults: that is what they are for.
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wno-unknown-pragmas
                    -Wno-missing-field-initializers)
# Contraction would let the compiler fuse a*b+c where the numeric rules ask for two roundings.
add_compile_options(-ffp-contract=off)
if(PARE_WERROR)
  add_compile_options(-Werror)
endif()
