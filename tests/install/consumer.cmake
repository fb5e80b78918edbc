# Installs a build, then configures, builds and runs apps/examples/distil.cpp against it, without the libraries that derrd keeps to
# itself. A CUDA build on a machine without a device is not run.
#   cmake -D BUILD=<build folder> -D WORK=<scratch folder> -D CXX=<compiler> -D BUILD_TYPE=<type> -D BACKEND=<backend>
#     -P consumer.cmake
function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(REMOVE_RECURSE ${WORK})
run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/installed)

foreach(other cuda cpu check)
  if(EXISTS ${WORK}/installed/include/derrd/kernels/platform/${other}
      AND NOT "${BACKEND} ${other}" MATCHES "^(cuda cuda|cpu cpu|check cpu|check check)$")
    message(FATAL_ERROR "platform/${other} is installed, but the build is for ${BACKEND}")
  endif()
endforeach()

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${WORK}/build -G Ninja -D CMAKE_PREFIX_PATH=${WORK}/installed
  -D CMAKE_CXX_COMPILER=${CXX} -D CMAKE_BUILD_TYPE=${BUILD_TYPE})
run(${CMAKE_COMMAND} --build ${WORK}/build)
execute_process(COMMAND ninja -C ${WORK}/build -t deps OUTPUT_VARIABLE included COMMAND_ERROR_IS_FATAL ANY)
if(NOT included MATCHES "derrd/engine/training/trainer.h")
  message(FATAL_ERROR "the program's headers are not those that were installed: ${included}")
endif()
string(REGEX MATCH "[^\n]*/(fmt|nlohmann|xxhash[.]h|Random123|thrust|tbb|cblas[.]h)[^\n]*" private "${included}")
if(private)
  message(FATAL_ERROR "derrd's headers need a library that derrd keeps to itself: ${private}")
endif()

if(BACKEND STREQUAL cuda)
  execute_process(COMMAND nvidia-smi -L OUTPUT_VARIABLE gpus ERROR_QUIET RESULT_VARIABLE result)
  if(NOT result EQUAL 0 OR NOT gpus MATCHES "GPU [0-9]+:")
    message(STATUS "There is no GPU here: built, not run")
    return()
  endif()
endif()
execute_process(COMMAND ${WORK}/build/consumer WORKING_DIRECTORY ${WORK} COMMAND_ECHO STDOUT
  COMMAND_ERROR_IS_FATAL ANY)
