# derrd::openblas, whose single-threaded products the CPU executor spreads over threads: the system's, else built from sources as a
# project of its own, since its build writes into that of a project that includes it.
find_library(OPENBLAS_LIBRARY openblas)
find_path(OPENBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas openblas-pthread)
mark_as_advanced(OPENBLAS_LIBRARY OPENBLAS_INCLUDE_DIR)
add_library(derrd::openblas INTERFACE IMPORTED GLOBAL)
if(NOT OPENBLAS_LIBRARY OR NOT OPENBLAS_INCLUDE_DIR)
  include(ExternalProject)
  set(prefix ${PROJECT_BINARY_DIR}/openblas)
  set(OPENBLAS_LIBRARY ${prefix}/lib/libopenblas.a)
  set(OPENBLAS_INCLUDE_DIR ${prefix}/include/openblas)
  file(MAKE_DIRECTORY ${OPENBLAS_INCLUDE_DIR})
  if(DERRD_DEPENDENCIES_DIR AND EXISTS ${DERRD_DEPENDENCIES_DIR}/OpenBLAS)
    message(STATUS "OpenBLAS: building ${DERRD_DEPENDENCIES_DIR}/OpenBLAS")
    set(sources SOURCE_DIR ${DERRD_DEPENDENCIES_DIR}/OpenBLAS)
  else()
    set(tag v0.3.21)
    set(repository https://github.com/OpenMathLib/OpenBLAS)
    message(STATUS "OpenBLAS: not on the system, building ${tag} of ${repository}")
    set(sources GIT_REPOSITORY ${repository} GIT_TAG ${tag} GIT_SHALLOW ON)
  endif()
  ExternalProject_Add(openblas ${sources}
    PREFIX ${prefix}
    CMAKE_ARGS -DCMAKE_INSTALL_PREFIX=${prefix} -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release
      -DCMAKE_POLICY_VERSION_MINIMUM=3.5 # newer versions of CMake refuse the sources without
      -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF -DNOFORTRAN=ON -DBUILD_WITHOUT_LAPACK=ON
      # Many threads call it, each for a product of its own.
      -DUSE_THREAD=OFF -DUSE_LOCKING=ON -DBUILD_SINGLE=ON
    BUILD_COMMAND ${CMAKE_COMMAND} --build <BINARY_DIR> --target openblas_static
    BUILD_BYPRODUCTS ${OPENBLAS_LIBRARY})
  add_dependencies(derrd::openblas openblas)
endif()
target_include_directories(derrd::openblas SYSTEM INTERFACE ${OPENBLAS_INCLUDE_DIR})
target_link_libraries(derrd::openblas INTERFACE ${OPENBLAS_LIBRARY})
