# Libraries: the system's where it has them, else sources of a pinned version, from DERRD_DEPENDENCIES_DIR/<name> (bench/README.md
# shows the layout) or, where that folder lacks them, from the network.
include(FetchContent)
set(FETCHCONTENT_QUIET ON)
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW) # a subproject's options take the values set here

# derrd_declare(<name> <git repository> <tag> [SOURCE_SUBDIR <folder>]): where the library's sources come from.
function(derrd_declare name repository tag)
  if(DERRD_DEPENDENCIES_DIR AND EXISTS ${DERRD_DEPENDENCIES_DIR}/${name})
    message(STATUS "${name}: taking ${DERRD_DEPENDENCIES_DIR}/${name}")
    FetchContent_Declare(${name} SOURCE_DIR ${DERRD_DEPENDENCIES_DIR}/${name} ${ARGN})
  else()
    message(STATUS "${name}: not on the system, taking ${tag} of ${repository}")
    FetchContent_Declare(${name} GIT_REPOSITORY ${repository} GIT_TAG ${tag} GIT_SHALLOW ON ${ARGN})
  endif()
endfunction()

# derrd_fetch(<name> <git repository> <tag>): the library's sources as a subproject.
macro(derrd_fetch name repository tag)
  derrd_declare(${name} ${repository} ${tag})
  FetchContent_MakeAvailable(${name})
endmacro()

# derrd_fetch_headers(<target> <file> <name> <git repository> <tag> <folder>): a library of headers only, of which <folder> within
# its sources holds <file>. Its own build is left alone.
macro(derrd_fetch_headers target file name repository tag folder)
  derrd_declare(${name} ${repository} ${tag} SOURCE_SUBDIR no-cmake-project)
  FetchContent_MakeAvailable(${name})
  string(TOLOWER ${name} lower_name)
  if(NOT EXISTS ${${lower_name}_SOURCE_DIR}/${folder}/${file})
    message(FATAL_ERROR "${name}: there is no ${folder}/${file} in ${${lower_name}_SOURCE_DIR}")
  endif()
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} SYSTEM INTERFACE ${${lower_name}_SOURCE_DIR}/${folder})
endmacro()

# derrd_find_headers(...), as above: where most systems have headers without a CMake package. A copy in DERRD_DEPENDENCIES_DIR
# comes first.
macro(derrd_find_headers target file name)
  if(NOT DERRD_DEPENDENCIES_DIR OR NOT EXISTS ${DERRD_DEPENDENCIES_DIR}/${name})
    find_path(${name}_INCLUDE_DIR ${file})
    mark_as_advanced(${name}_INCLUDE_DIR)
  endif()
  if(${name}_INCLUDE_DIR)
    add_library(${target} INTERFACE IMPORTED GLOBAL)
    target_include_directories(${target} SYSTEM INTERFACE ${${name}_INCLUDE_DIR})
  else()
    derrd_fetch_headers(${target} ${file} ${name} ${ARGN})
  endif()
endmacro()

find_package(Threads REQUIRED)

find_package(nlohmann_json 3.10 QUIET)
if(NOT nlohmann_json_FOUND)
  derrd_fetch_headers(nlohmann_json::nlohmann_json nlohmann/json.hpp nlohmann_json
    https://github.com/nlohmann/json v3.11.2 include)
endif()
find_package(CLI11 2.1 QUIET)
if(NOT CLI11_FOUND)
  derrd_fetch_headers(CLI11::CLI11 CLI/CLI.hpp CLI11 https://github.com/CLIUtils/CLI11 v2.3.2 include)
endif()
find_package(fmt 9 QUIET)
if(NOT fmt_FOUND)
  derrd_fetch_headers(fmt::fmt-header-only fmt/format.h fmt https://github.com/fmtlib/fmt 9.1.0 include)
  target_compile_definitions(fmt::fmt-header-only INTERFACE FMT_HEADER_ONLY=1)
endif()
derrd_find_headers(derrd::xxhash xxhash.h xxhash https://github.com/Cyan4973/xxHash v0.8.1 .)
if(NOT DERRD_BACKEND STREQUAL check)  # of the program alone
  derrd_find_headers(derrd::tomlplusplus toml++/toml.h tomlplusplus https://github.com/marzer/tomlplusplus v3.3.0 include)
  derrd_find_headers(derrd::boost_math boost/math/distributions/students_t.hpp boost_math
    https://github.com/boostorg/math boost-1.83.0 include)
  if(NOT boost_math_INCLUDE_DIR)  # its own sources, without the rest of Boost
    target_compile_definitions(derrd::boost_math INTERFACE BOOST_MATH_STANDALONE=1)
  endif()
endif()

if(NOT DERRD_BACKEND STREQUAL cuda)
  derrd_find_headers(derrd::random123 Random123/philox.h random123
    https://github.com/DEShawResearch/random123 v1.14.0 include)
  derrd_find_headers(derrd::thrust thrust/version.h thrust https://github.com/NVIDIA/thrust 1.17.2 .)
  # Else Thrust includes the CUDA toolkit's headers, which this build does without.
  target_compile_definitions(derrd::thrust INTERFACE THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP)
  find_package(TBB 2021 QUIET)
  if(NOT TBB_FOUND)
    set(TBB_TEST OFF)
    derrd_fetch(TBB https://github.com/oneapi-src/oneTBB v2021.8.0)
  endif()
  include(${CMAKE_CURRENT_LIST_DIR}/openblas.cmake)
endif()

if(DERRD_TESTS)
  find_package(GTest 1.12 QUIET)
  if(NOT GTest_FOUND)
    set(INSTALL_GTEST OFF)
    derrd_fetch(googletest https://github.com/google/googletest v1.14.0)
  endif()
endif()
if(DERRD_BENCHMARKS)
  find_package(benchmark 1.7 QUIET)
  if(NOT benchmark_FOUND)
    set(BENCHMARK_ENABLE_TESTING OFF)
    set(BENCHMARK_ENABLE_INSTALL OFF)
    set(BENCHMARK_ENABLE_WERROR OFF)
    derrd_fetch(benchmark https://github.com/google/benchmark v1.8.3)
  endif()
endif()
