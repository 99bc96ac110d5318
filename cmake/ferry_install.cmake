# What `cmake --install` puts down: headers, static libraries, the shared library of the C interface, the CMake package, pkg-config files and the program.
# The package can be moved as a whole: everything in it is found relative to the file that names it.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/ferry)

install(DIRECTORY include/ferry DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")

install(TARGETS ferry_dry ferry_ferry ferry_gateway ferry_socket_c EXPORT ferry-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT ferry-targets NAMESPACE ferry:: DESTINATION ${package_dir})

# A component with a dependency of its own has an export set of its own, so that who does not ask for it needs neither.
if(FERRY_SYSTEMD)
  install(TARGETS ferry_systemd EXPORT ferry-systemd-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT ferry-systemd-targets NAMESPACE ferry:: DESTINATION ${package_dir})
endif()

if(FERRY_SIDECAR)
  install(TARGETS ferry_sidecar EXPORT ferry-sidecar-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT ferry-sidecar-targets NAMESPACE ferry:: DESTINATION ${package_dir})
endif()

configure_package_config_file(cmake/ferry-config.cmake.in ferry-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(ferry-config-version.cmake VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ferry-config.cmake ${PROJECT_BINARY_DIR}/ferry-config-version.cmake
  DESTINATION ${package_dir})

cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE library_dir)
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE include_dir)
file(RELATIVE_PATH up_to_prefix ${library_dir}/pkgconfig ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH library_in_prefix ${CMAKE_INSTALL_PREFIX} ${library_dir})
file(RELATIVE_PATH include_in_prefix ${CMAKE_INSTALL_PREFIX} ${include_dir})
if(FERRY_TLS)
  set(required_for_tls "libssl >= 3.0.0 libcrypto >= 3.0.0")
endif()
set(pkg_config_files ferry.pc ferry-socket.pc)
if(FERRY_SYSTEMD)
  list(APPEND pkg_config_files ferry-systemd.pc)
endif()
if(FERRY_SIDECAR)
  list(APPEND pkg_config_files ferry-sidecar.pc)
endif()
foreach(file IN LISTS pkg_config_files)
  configure_file(cmake/${file}.in ${file} @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${file} DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

if(TARGET ferry_program)
  install(TARGETS ferry_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
