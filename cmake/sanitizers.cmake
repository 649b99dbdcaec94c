# PARE_SANITIZE=address,undefined or thread: the whole program is built with them.
if(PARE_SANITIZE)
  add_compile_options(-fsanitize=${PARE_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PARE_SANITIZE})
endif()
