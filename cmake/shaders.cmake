# SPIR-V from shaders/variants.def: one glslc call and one spirv-val call a row, embedded as C arrays (rr_shaders).
# Rows that the glslc at hand cannot compile are left out, with one line saying so.

if(NOT REARANK_GLSLC)
    find_program(REARANK_GLSLC_FOUND glslc REQUIRED)
    set(glslc ${REARANK_GLSLC_FOUND})
else()
    set(glslc ${REARANK_GLSLC})
endif()
find_program(SPIRV_VAL spirv-val)
if(NOT SPIRV_VAL)
    message(STATUS "spirv-val: not found, shader modules are not validated (package spirv-tools)")
endif()

# rr_probe_glslc(OUT EXTENSION BODY): can this glslc compile a shader that needs EXTENSION? In OUT_val: does spirv-val know it?
function(rr_probe_glslc out extension body)
    set(probe ${CMAKE_BINARY_DIR}/probe/${extension}.comp)
    file(WRITE ${probe} "#version 460\n#extension ${extension} : require\n#extension GL_KHR_memory_scope_semantics : require\n"
        "layout(local_size_x = 32) in;\nvoid main() { ${body} }\n")
    execute_process(COMMAND ${glslc} --target-env=vulkan1.2 ${probe} -o ${probe}.spv
        RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
    if(failed)
        set(${out} FALSE PARENT_SCOPE)
        return()
    endif()
    set(${out} TRUE PARENT_SCOPE)
    set(${out}_val FALSE PARENT_SCOPE)
    if(SPIRV_VAL)
        execute_process(COMMAND ${SPIRV_VAL} --target-env vulkan1.2 ${probe}.spv RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
        if(failed)
            message(STATUS "spirv-val: does not know ${extension}, shader modules that use it are not validated")
        else()
            set(${out}_val TRUE PARENT_SCOPE)
        endif()
    endif()
endfunction()
rr_probe_glslc(glslc_can_COOP GL_KHR_cooperative_matrix
    "coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator> sum = coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>(0.0);")
rr_probe_glslc(glslc_can_DOT GL_EXT_integer_dot_product "int sum = dotPacked4x8EXT(1, 2);")
message(STATUS "glslc: ${glslc} (cooperative matrix: ${glslc_can_COOP}, integer dot product: ${glslc_can_DOT})")

# The numbers of rr_qtype (quant/quant.h).
file(STRINGS ${CMAKE_SOURCE_DIR}/quant/quant.h formats REGEX "^ *RR_Q_[A-Z0-9_]+ = [0-9]+")
list(TRANSFORM formats REPLACE ".*= ([0-9]+).*" "\\1")

# rr_module(ID SOURCE DEFINES): compiles, validates and embeds one module as spirv_ID.
macro(rr_module id source defines)
    set(spirv ${CMAKE_BINARY_DIR}/shaders/${id}.spv)
    set(words ${CMAKE_BINARY_DIR}/shaders/${id}.inc)
    set(flags -Werror -O --target-env=vulkan1.2 -DRR_GLSL=1 ${defines} -I ${CMAKE_SOURCE_DIR}/shaders
        -fshader-stage=compute ${CMAKE_SOURCE_DIR}/shaders/${source})
    set(validate)
    if(SPIRV_VAL AND (glslc_can_COOP_val OR NOT "${caps}" MATCHES "RR_CAP_COOP") AND (glslc_can_DOT_val OR NOT "${caps}" MATCHES "RR_CAP_DOT"))
        set(validate COMMAND ${SPIRV_VAL} --target-env vulkan1.2 ${spirv})
    endif()
    add_custom_command(OUTPUT ${spirv} ${words}
        COMMAND ${glslc} ${flags} -MD -MF ${spirv}.d -MT shaders/${id}.spv -o ${spirv}
        ${validate}
        COMMAND ${glslc} ${flags} -mfmt=num -o ${words}
        DEPENDS ${CMAKE_SOURCE_DIR}/shaders/${source}
        DEPFILE ${spirv}.d
        COMMENT "Shader ${id}" VERBATIM)
    list(APPEND spirv_files ${spirv} ${words})
    string(APPEND variant_arrays "static const uint32_t spirv_${id}[] = {\n#include \"${words}\"\n};\n")
endmacro()

file(STRINGS ${CMAKE_SOURCE_DIR}/shaders/variants.def variant_rows REGEX "^RR_VARIANT")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/shaders/variants.def)
set(spirv_files)
set(variant_table "")
set(variant_arrays "")
foreach(row IN LISTS variant_rows)
    string(REGEX MATCH "^RR_VARIANT\\(([a-z0-9_]+), *([a-z0-9_]+), *([a-z0-9_.]+), *([A-Z0-9_| ]+), *\"([^\"]*)\"\\)$" ok "${row}")
    if(NOT ok)
        message(FATAL_ERROR "shaders/variants.def: cannot read this row:\n  ${row}")
    endif()
    set(op ${CMAKE_MATCH_1})
    set(variant ${CMAKE_MATCH_2})
    set(source ${CMAKE_MATCH_3})
    set(caps ${CMAKE_MATCH_4})
    separate_arguments(defines UNIX_COMMAND "${CMAKE_MATCH_5}")
    set(id ${op}_${variant})
    if(caps MATCHES "RR_CAP_COOP" AND NOT glslc_can_COOP)
        message(STATUS "shader ${op}/${variant}: left out, this glslc knows no cooperative matrices (-DREARANK_GLSLC= names another)")
        continue()
    elseif(caps MATCHES "RR_CAP_DOT" AND NOT glslc_can_DOT)
        message(STATUS "shader ${op}/${variant}: left out, this glslc knows no integer dot product (-DREARANK_GLSLC= names another)")
        continue()
    endif()
    if(defines MATCHES "RR_FORMAT=each") # one module a weight format
        set(modules "")
        foreach(format IN LISTS formats)
            string(REPLACE "RR_FORMAT=each" "RR_FORMAT=${format}" format_defines "${defines}")
            rr_module(${id}_q${format} ${source} "${format_defines}")
            string(APPEND modules "    [${format}] = {spirv_${id}_q${format}, sizeof spirv_${id}_q${format}},\n")
        endforeach()
        string(APPEND variant_arrays "static const rr_module modules_${id}[RR_MODULES] = {\n${modules}};\n")
        string(APPEND variant_table "    {RR_OP_${op}, \"${variant}\", ${caps}, {NULL, 0}, modules_${id}},\n")
    else()
        rr_module(${id} ${source} "${defines}")
        string(APPEND variant_table
            "    {RR_OP_${op}, \"${variant}\", ${caps}, {spirv_${id}, sizeof spirv_${id}}, NULL},\n")
    endif()
endforeach()

file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/shaders/variants_gen.c CONTENT
"/* Made from shaders/variants.def; do not edit. */
#include \"runtime/compute/variants.h\"

@variant_arrays@
const rr_variant rr_variant_table[] = {
@variant_table@};
const size_t rr_variant_table_n = sizeof rr_variant_table / sizeof rr_variant_table[0];
" @ONLY)
add_custom_target(rr_spirv DEPENDS ${spirv_files})
add_library(rr_shaders STATIC ${CMAKE_BINARY_DIR}/shaders/variants_gen.c)
set_property(SOURCE ${CMAKE_BINARY_DIR}/shaders/variants_gen.c APPEND PROPERTY OBJECT_DEPENDS "${spirv_files}")
target_link_libraries(rr_shaders PRIVATE rr_options)
add_dependencies(rr_shaders rr_spirv)
