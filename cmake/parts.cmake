# SPDX-License-Identifier: Apache-2.0
# gal_part(NAME SOURCES file... [USES part...] [LIBS target...])
#
# One folder under src/ becomes the static library galley_NAME. USES names the lower floors that it links, LIBS other
# people's libraries. A part without sources is an interface that only hands its floors on.
function(gal_part name)
  cmake_parse_arguments(PARSE_ARGV 1 P "" "" "SOURCES;USES;LIBS")
  if(P_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "gal_part(${name}): what is ${P_UNPARSED_ARGUMENTS}?")
  endif()
  list(TRANSFORM P_USES PREPEND galley_)
  if(P_SOURCES)
    add_library(galley_${name} STATIC ${P_SOURCES})
    target_link_libraries(galley_${name} PRIVATE gal_flags PUBLIC ${P_USES} ${P_LIBS})
  else()
    add_library(galley_${name} INTERFACE)
    target_link_libraries(galley_${name} INTERFACE ${P_USES} ${P_LIBS})
  endif()
endfunction()
