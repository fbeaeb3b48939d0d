# SPDX-License-Identifier: Apache-2.0
# Other people's libraries, one gal::NAME target each. tools/setup brings in what is missing.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(gal_missing what)
  message(FATAL_ERROR "${what} is missing. Run: tools/setup run")
endfunction()

foreach(dep IN ITEMS uv:libuv yaml:yaml-0.1 zlib:zlib crypto:libcrypto)
  string(REPLACE ":" ";" pair "${dep}")
  list(GET pair 0 name)
  list(GET pair 1 module)
  pkg_check_modules(${name} IMPORTED_TARGET ${module})
  if(NOT ${name}_FOUND)
    gal_missing("${module}")
  endif()
  add_library(gal::${name} ALIAS PkgConfig::${name})
endforeach()

# The static library where there is one, so that an image needs no further file.
function(gal_static name header)
  string(TOUPPER "${name}" upper)
  find_path(${upper}_INCLUDE ${header})
  find_library(${upper}_LIBRARY NAMES ${ARGN})
  if(NOT ${upper}_INCLUDE OR NOT ${upper}_LIBRARY)
    gal_missing("${name}")
  endif()
  # Imported, so that what it needs itself stands behind it on the linker's line.
  add_library(gal_${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(gal_${name} PROPERTIES IMPORTED_LOCATION "${${upper}_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${${upper}_INCLUDE}")
  add_library(gal::${name} ALIAS gal_${name})
endfunction()
gal_static(hiredis hiredis/async.h libhiredis.a hiredis)
gal_static(nghttp2 nghttp2/nghttp2.h libnghttp2.a nghttp2)         # HTTP/2
gal_static(protobuf_c protobuf-c/protobuf-c.h libprotobuf-c.a protobuf-c)
gal_static(jpeg jpeglib.h libjpeg.a jpeg)                          # libjpeg-turbo
gal_static(png png.h libpng.a png)
target_link_libraries(gal_png INTERFACE gal::zlib m)
gal_static(archive archive.h libarchive.a archive)                 # tar, for reading: nothing else of it is linked
gal_static(zstd zstd.h libzstd.a zstd)
gal_static(expat expat.h libexpat.a expat)                         # object stores' answers
gal_static(utf8proc utf8proc.h libutf8proc.a utf8proc)             # Unicode normalization and case
# libcurl: its headers only; galley opens the library when it fetches something.
find_path(CURL_INCLUDE curl/curl.h)
if(NOT CURL_INCLUDE)
  gal_missing("libcurl")
endif()
add_library(gal_curl INTERFACE)
target_include_directories(gal_curl SYSTEM INTERFACE "${CURL_INCLUDE}")
target_link_libraries(gal_curl INTERFACE ${CMAKE_DL_LIBS})
add_library(gal::curl ALIAS gal_curl)
pkg_check_modules(ssl IMPORTED_TARGET libssl)                      # TLS; shared: security updates are the system's
if(NOT ssl_FOUND)
  gal_missing("OpenSSL")
endif()
add_library(gal::ssl ALIAS PkgConfig::ssl)
find_program(GAL_PROTOC_C protoc-c)
if(NOT GAL_PROTOC_C)
  gal_missing("protoc-c")
endif()

# llhttp: unpacked under build/deps (static), or the system's.
find_path(LLHTTP_INCLUDE llhttp.h HINTS "${GAL_DEPS}/root/usr/include")
find_library(LLHTTP_LIBRARY NAMES libllhttp.a llhttp
  HINTS "${GAL_DEPS}/root/usr/lib" PATH_SUFFIXES "${CMAKE_LIBRARY_ARCHITECTURE}" "${CMAKE_C_LIBRARY_ARCHITECTURE}")
if(NOT LLHTTP_INCLUDE OR NOT LLHTTP_LIBRARY)
  gal_missing("llhttp")
endif()
add_library(gal_llhttp INTERFACE)
target_include_directories(gal_llhttp SYSTEM INTERFACE "${LLHTTP_INCLUDE}")
target_link_libraries(gal_llhttp INTERFACE "${LLHTTP_LIBRARY}")
add_library(gal::llhttp ALIAS gal_llhttp)

# yyjson: built from source into the binary, or the system's shared library.
if(EXISTS "${GAL_DEPS}/yyjson/src/yyjson.c")
  add_library(gal_yyjson STATIC "${GAL_DEPS}/yyjson/src/yyjson.c")
  target_include_directories(gal_yyjson SYSTEM PUBLIC "${GAL_DEPS}/yyjson/src")
  target_compile_options(gal_yyjson PRIVATE -w -fvisibility=hidden)
  if(GAL_SANITIZE MATCHES "undefined")
    # Instrumenting its arithmetic takes a compiler a minute.
    target_compile_options(gal_yyjson PRIVATE -fno-sanitize=undefined)
  endif()
  add_library(gal::yyjson ALIAS gal_yyjson)
else()
  pkg_check_modules(yyjson IMPORTED_TARGET yyjson)
  if(NOT yyjson_FOUND)
    gal_missing("yyjson")
  endif()
  add_library(gal::yyjson ALIAS PkgConfig::yyjson)
endif()

# xxHash: its header only, compiled into the one file that uses it.
find_path(XXHASH_INCLUDE xxhash.h)
if(NOT XXHASH_INCLUDE)
  gal_missing("xxHash")
endif()
add_library(gal_xxhash INTERFACE)
target_include_directories(gal_xxhash SYSTEM INTERFACE "${XXHASH_INCLUDE}")
add_library(gal::xxhash ALIAS gal_xxhash)

# ONNX Runtime: the header only; galley opens the library when it runs.
if(NOT EXISTS "${GAL_DEPS}/onnxruntime/include/onnxruntime_c_api.h")
  gal_missing("ONNX Runtime")
endif()
add_library(gal_onnxruntime INTERFACE)
# Where the build's own copy lies: the last place to look, so that a galley run from its build folder finds it.
target_compile_definitions(gal_onnxruntime INTERFACE "GALLEY_ORT_DEFAULT=\"${GAL_DEPS}/onnxruntime/lib/libonnxruntime.so.1\"")
target_include_directories(gal_onnxruntime SYSTEM INTERFACE "${GAL_DEPS}/onnxruntime/include")
target_link_libraries(gal_onnxruntime INTERFACE ${CMAKE_DL_LIBS})
add_library(gal::onnxruntime ALIAS gal_onnxruntime)
