# System packages, and the one library that older distributions do not carry.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.37)

# only the program needs these, for `rearank pull`: HTTPS, SHA-256, wheels
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.85)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto>=3.0)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)

# only the program's `rearank serve` needs this; a build without says so when it is asked to serve
option(REARANK_SERVE "Build `rearank serve` where libmicrohttpd is there" ON)
if(REARANK_SERVE)
    pkg_check_modules(MICROHTTPD IMPORTED_TARGET libmicrohttpd>=0.9.71)
    if(NOT MICROHTTPD_FOUND)
        message(WARNING "`rearank serve` is left out: libmicrohttpd was not found (Debian: libmicrohttpd-dev)")
    endif()
else()
    message(STATUS "`rearank serve` is left out: REARANK_SERVE is off")
endif()

find_path(VULKAN_HEADERS vulkan/vulkan.h REQUIRED)
# GNU Radio has a library of the same name, in volk/volk.h: hence no path suffix, and the look into the file
find_path(VOLK_HEADERS NAMES volk.h REQUIRED)
file(STRINGS ${VOLK_HEADERS}/volk.h volk_version REGEX "VOLK_HEADER_VERSION")
if(NOT volk_version)
    message(FATAL_ERROR "${VOLK_HEADERS}/volk.h is not the Vulkan meta loader (package libvulkan-volk-dev)")
endif()
find_path(STB_HEADERS NAMES stb/stb_ds.h REQUIRED)

add_library(rr_volk INTERFACE)
target_include_directories(rr_volk SYSTEM INTERFACE ${VULKAN_HEADERS} ${VOLK_HEADERS})
target_link_libraries(rr_volk INTERFACE ${CMAKE_DL_LIBS})

add_library(rr_stb INTERFACE)
target_include_directories(rr_stb SYSTEM INTERFACE ${STB_HEADERS})

# yyjson: Debian 13 packages it, Debian 12 and Ubuntu 24.04 do not; there the copy in third_party is built.
find_path(YYJSON_HEADERS NAMES yyjson.h)
find_library(YYJSON_LIBRARY NAMES yyjson)
if(YYJSON_HEADERS AND YYJSON_LIBRARY)
    add_library(rr_yyjson INTERFACE)
    target_include_directories(rr_yyjson SYSTEM INTERFACE ${YYJSON_HEADERS})
    target_link_libraries(rr_yyjson INTERFACE ${YYJSON_LIBRARY})
else()
    message(STATUS "yyjson: no system package found, building third_party/yyjson")
    add_library(rr_yyjson STATIC third_party/yyjson/yyjson.c)
    target_include_directories(rr_yyjson SYSTEM PUBLIC third_party/yyjson)
endif()
