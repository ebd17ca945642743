# The layers of the tree as libraries. A layer sees only the layers it names (tests/check_layers checks the includes).

# rr_embed_text(NAME FILE): FILE as `const char NAME[]` in embedded/NAME.c of the build folder.
function(rr_embed_text name path)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${path})
    file(READ ${CMAKE_SOURCE_DIR}/${path} bytes HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}") # as characters: those past 127 fit a char, too
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/embedded/${name}.c CONTENT
"/* Made from ${path}; do not edit. */\nextern const char ${name}[];\nconst char ${name}[] = {${bytes}0};\n")
endfunction()

# rr_embed_readouts(OUT): rerank/readouts/*.json as the table rr_readouts (rerank/readouts.h); OUT gets the C files.
function(rr_embed_readouts out)
    file(GLOB paths RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/rerank/readouts/*.json)
    list(SORT paths)
    set(files ${CMAKE_BINARY_DIR}/embedded/rr_readouts.c)
    set(declarations "")
    set(rows "")
    foreach(path IN LISTS paths)
        get_filename_component(name ${path} NAME_WLE)
        string(MAKE_C_IDENTIFIER "rr_readout_${name}" id)
        rr_embed_text(${id} ${path})
        list(APPEND files ${CMAKE_BINARY_DIR}/embedded/${id}.c)
        string(APPEND declarations "extern const char ${id}[];\n")
        string(APPEND rows "    {\"${name}\", ${id}},\n")
    endforeach()
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/embedded/rr_readouts.c CONTENT
"/* Made from rerank/readouts; do not edit. */
#include \"rerank/readouts.h\"

${declarations}
const rr_shipped_readout rr_readouts[] = {
${rows}    {0, 0},
};
const size_t rr_readouts_n = sizeof rr_readouts / sizeof rr_readouts[0] - 1;
")
    set(${out} ${files} PARENT_SCOPE)
endfunction()

# rr_layer(NAME FOLDER [LAYER…]): all C files of a folder as the static library rr_NAME.
function(rr_layer name folder)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${folder}/*.c)
    if(NOT sources)
        return()
    endif()
    if(name STREQUAL "rerank")
        rr_embed_readouts(readouts)
        list(APPEND sources ${readouts})
    elseif(name STREQUAL "report")
        rr_embed_text(rr_report_html rerank/report/report.html)
        list(APPEND sources ${CMAKE_BINARY_DIR}/embedded/rr_report_html.c)
    endif()
    add_library(rr_${name} STATIC ${sources})
    target_link_libraries(rr_${name} PUBLIC rr_options Threads::Threads m)
    foreach(layer IN LISTS ARGN)
        target_link_libraries(rr_${name} PUBLIC rr_${layer})
    endforeach()
    if(name STREQUAL "base")
        target_link_libraries(rr_base PRIVATE PkgConfig::ZLIB)
    elseif(name STREQUAL "model")
        target_link_libraries(rr_model PRIVATE PkgConfig::PCRE2 PkgConfig::UTF8PROC rr_stb)
    elseif(name STREQUAL "vk")
        target_link_libraries(rr_vk PRIVATE rr_volk)
    elseif(name STREQUAL "compute")
        target_link_libraries(rr_compute PRIVATE rr_shaders)
    elseif(name STREQUAL "data")
        target_link_libraries(rr_data PRIVATE rr_yyjson rr_stb PkgConfig::UTF8PROC)
    elseif(name STREQUAL "eval")
        target_link_libraries(rr_eval PRIVATE rr_yyjson rr_stb)
    elseif(name STREQUAL "rerank")
        target_link_libraries(rr_rerank PRIVATE rr_yyjson rr_stb PkgConfig::UTF8PROC)
    elseif(name STREQUAL "keep")
        target_link_libraries(rr_keep PRIVATE rr_yyjson PkgConfig::SQLITE)
    elseif(name STREQUAL "report")
        target_link_libraries(rr_report PRIVATE rr_yyjson rr_stb PkgConfig::UTF8PROC)
    elseif(name STREQUAL "serve")
        target_link_libraries(rr_serve PUBLIC rr_yyjson)
    elseif(name STREQUAL "learn")
        target_link_libraries(rr_learn PRIVATE rr_yyjson rr_stb PkgConfig::SQLITE)
    elseif(name STREQUAL "support")
        target_link_libraries(rr_support PRIVATE rr_yyjson)
    endif()
endfunction()

# librearank: everything up to rerank, exporting rerank/rearank.h alone.
function(rr_library)
    if(NOT TARGET rr_rerank OR NOT EXISTS ${CMAKE_SOURCE_DIR}/rerank/api.c)
        return()
    endif()
    add_library(rearank_shared SHARED ${CMAKE_SOURCE_DIR}/rerank/api.c)
    set_target_properties(rearank_shared PROPERTIES
        OUTPUT_NAME rearank VERSION ${PROJECT_VERSION} SOVERSION 0
        PUBLIC_HEADER ${CMAKE_SOURCE_DIR}/rerank/rearank.h)
    target_link_libraries(rearank_shared PRIVATE rr_rerank)
    target_link_options(rearank_shared PRIVATE -Wl,--exclude-libs,ALL)
    install(TARGETS rearank_shared LIBRARY PUBLIC_HEADER)
endfunction()

# The `rearank` program: one verb a file in tools/; everything but main.c also as the library rr_cli, for its tests.
function(rr_program)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/*.c)
    if(NOT sources)
        return()
    endif()
    list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/tools/main.c)
    rr_embed_text(rr_models_json tools/models.json)
    add_library(rr_cli STATIC ${sources} ${CMAKE_BINARY_DIR}/embedded/rr_models_json.c)
    foreach(layer checkgpu serve learn report keep rerank engine model)
        if(TARGET rr_${layer})
            target_link_libraries(rr_cli PUBLIC rr_${layer})
        endif()
    endforeach()
    target_link_libraries(rr_cli PUBLIC rr_yyjson PkgConfig::CURL PkgConfig::CRYPTO PkgConfig::ARCHIVE)
    add_executable(rearank ${CMAKE_SOURCE_DIR}/tools/main.c)
    target_link_libraries(rearank PRIVATE rr_cli)
    install(TARGETS rearank)
endfunction()
