# SPDX-License-Identifier: Apache-2.0
# The messages of proto/: galley_proto is protobuf-c's code for them (<proto/NAME.pb-c.h>), which is generated and so
# exempt from the house style; gal_proto_descriptors(OUT_VAR NAME) adds to OUT_VAR an assembler source that holds
# the FileDescriptorSet of all, as gal_asset_NAME (src/api/assets.h), for server reflection.
set(GAL_PROTO_DIR "${PROJECT_SOURCE_DIR}/proto")
set(GAL_PROTO_FILES inference model_config health reflection_v1 reflection_v1alpha)
set(GAL_PROTO_INPUTS ${GAL_PROTO_FILES})
list(TRANSFORM GAL_PROTO_INPUTS PREPEND "${GAL_PROTO_DIR}/")
list(TRANSFORM GAL_PROTO_INPUTS APPEND ".proto")

set(made "${PROJECT_BINARY_DIR}/generated")
set(sources)
file(MAKE_DIRECTORY "${made}/proto")
foreach(name IN ITEMS inference model_config)
  add_custom_command(
    OUTPUT "${made}/proto/${name}.pb-c.c" "${made}/proto/${name}.pb-c.h"
    COMMAND "${GAL_PROTOC_C}" "--proto_path=${GAL_PROTO_DIR}" "--c_out=${made}/proto" "${name}.proto"
    DEPENDS "${GAL_PROTO_DIR}/${name}.proto"
    COMMENT "Generating ${name}.pb-c.c"
    VERBATIM)
  list(APPEND sources "${made}/proto/${name}.pb-c.c" "${made}/proto/${name}.pb-c.h")
endforeach()
add_library(galley_proto STATIC ${sources})
target_include_directories(galley_proto SYSTEM PUBLIC "${made}" PRIVATE "${made}/proto")
# inference.pb-c.h names model_config.pb-c.h without a folder.
target_include_directories(galley_proto SYSTEM PUBLIC "${made}/proto")
target_compile_options(galley_proto PRIVATE -w)
target_link_libraries(galley_proto PUBLIC gal::protobuf_c)

function(gal_proto_descriptors out name)
  set(dir "${CMAKE_CURRENT_BINARY_DIR}/assets")
  add_custom_command(
    OUTPUT "${dir}/${name}.S"
    BYPRODUCTS "${dir}/${name}.pb"
    COMMAND "${CMAKE_COMMAND}" -E make_directory "${dir}"
    COMMAND "${GAL_PROTOC_C}" "--proto_path=${GAL_PROTO_DIR}" "--descriptor_set_out=${dir}/${name}.pb" ${GAL_PROTO_INPUTS}
    COMMAND "${PROJECT_SOURCE_DIR}/tools/embed" --plain "${name}" "${dir}/${name}.S" "${dir}/${name}.pb"
    DEPENDS "${PROJECT_SOURCE_DIR}/tools/embed" ${GAL_PROTO_INPUTS}
    COMMENT "Embedding ${name}"
    VERBATIM)
  set(${out} ${${out}} "${dir}/${name}.S" PARENT_SCOPE)
endfunction()
