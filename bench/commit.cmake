# Writes the commit that is built into OUTPUT, a header, if it is not there yet. Run at every build, since a configuration outlives
# commits; empty without git or its folder.
execute_process(COMMAND git describe --always --dirty --abbrev=12 --exclude=* WORKING_DIRECTORY ${CMAKE_CURRENT_LIST_DIR}
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
set(header "#pragma once\n\nnamespace derrd::bench {\ninline constexpr const char* kCommit = \"${commit}\";\n}\n")
set(written "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} written)
endif()
if(NOT header STREQUAL written)
  file(WRITE ${OUTPUT} "${header}")
endif()
