# SPDX-License-Identifier: Apache-2.0
# The compiler flags of every galley source (target gal_flags) and of every target (the directory-wide ones).
include(CheckPIESupported)
include(CheckIPOSupported)
check_pie_supported(LANGUAGES C)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(gal_flags INTERFACE)
target_link_libraries(gal_flags INTERFACE m)
target_include_directories(gal_flags INTERFACE "${PROJECT_SOURCE_DIR}/src")
target_compile_definitions(gal_flags INTERFACE _GNU_SOURCE "GAL_VERSION=\"${PROJECT_VERSION}\"")
target_compile_options(gal_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings
  -Wundef -Wformat=2 -fno-common -fvisibility=hidden -Werror=deprecated-declarations
  -include ${PROJECT_SOURCE_DIR}/src/base/banned.h
  $<$<BOOL:${GAL_WERROR}>:-Werror>>)

set(CMAKE_C_FLAGS_DEBUG "-Og -g")
set(CMAKE_C_FLAGS_RELEASE "-O3 -g1 -DNDEBUG -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong")
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  check_ipo_supported(RESULT gal_has_lto LANGUAGES C)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ${gal_has_lto})
  # Tests link the same libraries without it (tests/CMakeLists.txt): one link more in a second, not in ten.
  add_compile_options($<$<C_COMPILER_ID:GNU>:-ffat-lto-objects>)
  add_link_options(-Wl,-z,relro,-z,now -Wl,--as-needed)
endif()

if(GAL_SANITIZE)
  add_compile_options(-fsanitize=${GAL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${GAL_SANITIZE})
endif()
if(GAL_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
