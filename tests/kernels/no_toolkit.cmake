# No source of a build for the host includes a header of the CUDA toolkit, which its users need not have: found where the toolkit is
# installed, as the others' builds just fail. cmake -D NINJA=... -D BUILD=... -P no_toolkit.cmake
execute_process(COMMAND ${NINJA} -C ${BUILD} -t deps OUTPUT_VARIABLE dependencies COMMAND_ERROR_IS_FATAL ANY)
if(NOT dependencies MATCHES "thrust/execution_policy\\.h")
  message(FATAL_ERROR "${BUILD} records no dependencies: build it first")
endif()
string(REGEX MATCH "[^\n]*/(cuda_runtime_api|cuda_runtime|driver_types)\\.h" header "${dependencies}")
if(header)
  message(FATAL_ERROR "the build includes a header of the CUDA toolkit: ${header}")
endif()
