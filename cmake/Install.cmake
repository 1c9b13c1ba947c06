# What an installed copy offers: CMake package `marline` (marline::marline, marline::static) and
# pkg-config module `marline`.
include(CMakePackageConfigHelpers)

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/marline)

install(DIRECTORY ${CMAKE_SOURCE_DIR}/sdk/include/marline DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS marline marline_static marline_headers EXPORT marline)
install(EXPORT marline NAMESPACE marline:: DESTINATION ${package_folder} FILE marline-targets.cmake)

configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/marline-config.cmake.in
    ${CMAKE_BINARY_DIR}/marline-config.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/marline-config-version.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/marline-config.cmake ${CMAKE_BINARY_DIR}/marline-config-version.cmake
    DESTINATION ${package_folder})

file(RELATIVE_PATH PC_PREFIX_FROM_HERE /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(${CMAKE_SOURCE_DIR}/cmake/marline.pc.in ${CMAKE_BINARY_DIR}/marline.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/marline.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
