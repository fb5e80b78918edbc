# derrd_embed(<target> <folder> <file>...): compiles the files of data/ that the program carries within itself into <target>; their
# names are relative to <folder>.
function(derrd_embed target folder)
  foreach(file IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${folder}/${file})
    file(READ ${folder}/${file} text)
    string(APPEND DERRD_EMBEDDED "      {\"${file}\", R\"derrd(${text})derrd\"},\n")
  endforeach()
  set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded.cpp)
  configure_file(${CMAKE_CURRENT_FUNCTION_LIST_DIR}/embedded.cpp.in ${source} @ONLY)
  target_sources(${target} PRIVATE ${source})
endfunction()
