# `cmake --install`: the headers of include/pare, all rooms as one archive, a package that
# find_package(pare) finds, and the program. Rooms and the libraries they link come from pare_room.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(rooms GLOBAL PROPERTY pare_rooms)
get_property(links GLOBAL PROPERTY pare_links)
list(TRANSFORM rooms REPLACE "(.+)" "$<TARGET_OBJECTS:pare_\\1>" OUTPUT_VARIABLE objects)
file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/pare/*)

add_library(pare_library STATIC ${objects})
set_target_properties(pare_library PROPERTIES OUTPUT_NAME pare EXPORT_NAME pare
                                              LINKER_LANGUAGE CXX)
target_compile_features(pare_library PUBLIC cxx_std_20)
target_sources(pare_library PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR}/include
                                   FILES ${headers})
target_link_libraries(pare_library PRIVATE ${links})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/pare)
install(TARGETS pare RUNTIME)
install(TARGETS pare_library EXPORT pareTargets ARCHIVE FILE_SET HEADERS)
install(EXPORT pareTargets NAMESPACE pare:: DESTINATION ${package})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/pareConfig.cmake.in pareConfig.cmake
                              INSTALL_DESTINATION ${package})
write_basic_package_version_file(pareConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/pareConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/pareConfigVersion.cmake DESTINATION ${package})
