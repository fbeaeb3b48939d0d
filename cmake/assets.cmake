# SPDX-License-Identifier: Apache-2.0
# gal_asset(OUT_VAR NAME FILE [PLAIN]): adds to OUT_VAR an assembler source that holds FILE, compressed unless PLAIN, as
# gal_asset_NAME (see src/api/assets.h and src/cli/convert.h). A FILE that is not there becomes an empty asset, with a warning.
function(gal_asset out name file)
  set(dir "${CMAKE_CURRENT_BINARY_DIR}/assets")
  set(made "${dir}/${name}.S")
  set(input)
  set(plain)
  if("PLAIN" IN_LIST ARGN)
    set(plain --plain)
  endif()
  if(EXISTS "${file}")
    set(input "${file}")
  else()
    message(WARNING "${file} is missing: galley is built without it, and shows plain links in its place. Run: tools/setup run")
  endif()
  add_custom_command(
    OUTPUT "${made}"
    BYPRODUCTS "${dir}/${name}.gz"
    COMMAND "${PROJECT_SOURCE_DIR}/tools/embed" ${plain} "${name}" "${made}" ${input}
    DEPENDS "${PROJECT_SOURCE_DIR}/tools/embed" ${input}
    COMMENT "Embedding ${name}"
    VERBATIM)
  set(${out} ${${out}} "${made}" PARENT_SCOPE)
endfunction()
