# cmake --install: the libraries, their headers and the package that find_package(derrd) reads.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/derrd)

install(TARGETS derrd_data derrd_kernels derrd_engine EXPORT derrd-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT derrd-targets NAMESPACE derrd:: DESTINATION ${package_folder})

# Of the platform's folders those that the chosen executor consists of.
set(other_executors cuda cpu check)
list(REMOVE_ITEM other_executors ${DERRD_BACKEND})
if(DERRD_BACKEND STREQUAL check)
  list(REMOVE_ITEM other_executors cpu)
endif()
list(JOIN other_executors | other_executors)
install(DIRECTORY data kernels engine DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/derrd
  FILES_MATCHING PATTERN *.h
  PATTERN data/joined.h EXCLUDE # needs fmt, which the libraries keep to themselves
  REGEX "kernels/platform/(${other_executors})" EXCLUDE)

if(TARGET openblas) # built here: goes with the libraries that need it
  install(FILES ${OPENBLAS_LIBRARY} DESTINATION ${CMAKE_INSTALL_LIBDIR})
  set(OPENBLAS_FOLDER "\${PACKAGE_PREFIX_DIR}/${CMAKE_INSTALL_LIBDIR}")
elseif(OPENBLAS_LIBRARY)
  cmake_path(GET OPENBLAS_LIBRARY PARENT_PATH OPENBLAS_FOLDER)
endif()
configure_package_config_file(engine/derrd-config.cmake.in derrd-config.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(derrd-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/derrd-config.cmake ${PROJECT_BINARY_DIR}/derrd-config-version.cmake
  DESTINATION ${package_folder})
