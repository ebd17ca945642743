# Tests mirror the tree: tests/<layer>/test_<thing>.c is a program of its own, linked with the layers that exist.
# Exit 77 = skipped (said so on standard output). Labels: unit (no GPU driver), gpu (any Vulkan driver; all of vk,
# compute and engine, and test_<thing>_gpu.c of any layer), model (the real model; test_<thing>_real.c of any layer).
set(test_layers)
foreach(layer checkgpu support serve learn report keep rerank eval data engine compute vk ref model quant base)
    if(TARGET rr_${layer})
        list(APPEND test_layers rr_${layer})
    endif()
endforeach()

# Shaders of the tests themselves: tests/vk/<name>.comp as the words of tests/vk/<name>.inc in the build folder.
file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/vk/*.comp)
set(test_shaders)
foreach(source IN LISTS sources)
    get_filename_component(stem ${source} NAME_WE)
    set(words ${CMAKE_BINARY_DIR}/tests/vk/${stem}.inc)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/tests/vk)
    add_custom_command(OUTPUT ${words}
        COMMAND ${glslc} -Werror -O --target-env=vulkan1.2 -mfmt=num ${source} -o ${words}
        DEPENDS ${source} COMMENT "Test shader ${stem}" VERBATIM)
    list(APPEND test_shaders ${words})
endforeach()
add_custom_target(rr_test_shaders DEPENDS ${test_shaders})

# Drivers keep what they allocated in globals; unloading them would make the leak checker call that lost, and end the thread sanitizer.
set(keep_loaded)
if(REARANK_SANITIZE)
    add_library(rr_keep_loaded OBJECT ${CMAKE_SOURCE_DIR}/tests/keep_loaded.c)
    target_compile_definitions(rr_keep_loaded PRIVATE REARANK_TSAN_SUPPRESSIONS="${CMAKE_SOURCE_DIR}/tests/tsan.supp")
    add_library(rr_keep_loaded_link INTERFACE)
    target_sources(rr_keep_loaded_link INTERFACE $<TARGET_OBJECTS:rr_keep_loaded>)
    target_link_options(rr_keep_loaded_link INTERFACE -rdynamic)
    set(keep_loaded rr_keep_loaded_link)
    if(TARGET rearank)
        target_link_libraries(rearank PRIVATE ${keep_loaded})
    endif()
endif()

# Tests that `tools/test` leaves to `tools/test --all`: what they try at length, others try once. They have the label
# "long" besides.
set(long_tests
    "^(engine|compute)_(admission|packed|pages|read|scheduler|session|speculation|speculation_real|written)$"
    "^(model|ref)_.*_real$"
    "^rerank_(executor|eval_trec|grammar_real|read_places_real|strict_real|worker_real)$"
    "^tools_(bench_peer_gpu|folder_real|gpu_report_gpu|rank_gpu|report_browser)$")

# rr_label(TEST LABEL): gives a test its label, "long" too where it is one, and one device for all that need one.
function(rr_label name label)
    set(labels ${label})
    foreach(long IN LISTS long_tests)
        if(name MATCHES "${long}")
            list(APPEND labels long)
            break()
        endif()
    endforeach()
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 1800 LABELS "${labels}")
    # one at a time: one of them may want most of a device's memory or all of the processor
    if(NOT label STREQUAL "unit")
        set_tests_properties(${name} PROPERTIES RESOURCE_LOCK device)
    endif()
endfunction()

# Tests ask drivers for what the program asks them for.
add_library(rr_set_variables OBJECT ${CMAKE_SOURCE_DIR}/tests/set_variables.c)
target_link_libraries(rr_set_variables PRIVATE rr_options)
add_library(rr_set_variables_link INTERFACE)
target_sources(rr_set_variables_link INTERFACE $<TARGET_OBJECTS:rr_set_variables>)

# rr_test(SOURCE LABEL): builds and registers one test program.
function(rr_test source label)
    get_filename_component(stem ${source} NAME_WE)
    file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR}/tests ${source})
    get_filename_component(folder ${folder} DIRECTORY)
    string(REPLACE "/" "_" name "${folder}_${stem}")
    string(REPLACE "test_" "" name "${name}")
    if(stem MATCHES "_real$")
        set(label model)
    elseif(stem MATCHES "_gpu$")
        set(label gpu)
    endif()
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE ${test_layers} rr_yyjson ${keep_loaded})
    if(NOT label STREQUAL "unit")
        target_link_libraries(${name} PRIVATE rr_set_variables_link)
    endif()
    target_include_directories(${name} PRIVATE ${CMAKE_BINARY_DIR})
    add_dependencies(${name} rr_test_shaders)
    add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    rr_label(${name} ${label})
endfunction()

# rr_script_test(NAME LABEL COMMAND…)
function(rr_script_test name label)
    add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
    rr_label(${name} ${label})
endfunction()

foreach(layer base quant model ref rerank rerank/data rerank/eval rerank/keep rerank/report rerank/learn rerank/serve)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${layer}/test_*.c)
    foreach(source IN LISTS sources)
        rr_test(${source} unit)
    endforeach()
endforeach()
foreach(layer vk compute engine)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/${layer}/test_*.c)
    foreach(source IN LISTS sources)
        # what looks at recorded devices or made-up times needs no driver
        if(source MATCHES "(vk/test_(pick|caps)|compute/test_(fast_path|pick)|engine/test_plan)\\.c$")
            rr_test(${source} unit)
        else()
            rr_test(${source} gpu)
        endif()
    endforeach()
endforeach()
if(TEST compute_checkgpu)
    set_tests_properties(compute_checkgpu PROPERTIES TIMEOUT 3600) # compiles some hundred kernels, on a software device on one core
endif()

# Little models, and real ones in another form, for scripts that run the program.
if(TARGET rr_support)
    foreach(program synth_model hf_folder random_adapter)
        add_executable(${program} ${CMAKE_SOURCE_DIR}/tests/${program}.c)
        target_link_libraries(${program} PRIVATE ${test_layers})
    endforeach()
endif()

# The program from outside: tests/tools/<thing>.sh REARANK; <thing>_gpu.sh wants a device, <thing>_real.sh the real model.
if(TARGET rearank)
    file(GLOB scripts CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/tools/*.sh)
    foreach(script IN LISTS scripts)
        get_filename_component(stem ${script} NAME_WE)
        set(label unit)
        if(stem MATCHES "_gpu$")
            set(label gpu)
        elseif(stem MATCHES "_real$")
            set(label model)
        endif()
        rr_script_test(tools_${stem} ${label} bash ${script} $<TARGET_FILE:rearank>)
    endforeach()
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/tools/test_*.c)
    foreach(source IN LISTS sources)
        rr_test(${source} unit)
        get_filename_component(stem ${source} NAME_WE)
        string(REPLACE "test_" "tools_" name ${stem})
        target_link_libraries(${name} PRIVATE rr_cli)
    endforeach()
endif()

# The rules of the tree, and proof that each can fail.
rr_script_test(layers unit ${CMAKE_SOURCE_DIR}/tests/check_layers)
rr_script_test(layers_self_test unit ${CMAKE_SOURCE_DIR}/tests/check_layers --self-test)
rr_script_test(isa_gate_self_test unit ${CMAKE_SOURCE_DIR}/tools/dev/isa-gate --self-test)
rr_script_test(format unit ${CMAKE_SOURCE_DIR}/tests/check_format)
rr_script_test(scripts unit ${CMAKE_SOURCE_DIR}/tests/check_scripts)
if(TARGET rearank_shared)
    rr_script_test(exports unit ${CMAKE_SOURCE_DIR}/tests/check_exports
        $<TARGET_FILE:rearank_shared> ${CMAKE_SOURCE_DIR}/rerank/rearank.h)
    rr_script_test(exports_self_test unit ${CMAKE_SOURCE_DIR}/tests/check_exports --self-test)
endif()

# Fuzzers: tests/fuzz/fuzz_<thing>.c with its corpus in tests/fuzz/corpus/<thing>/. Each corpus is replayed as a unit test;
# -DREARANK_FUZZ=ON with clang also builds the libFuzzer program fuzz_<thing>.
file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_*.c)
foreach(source IN LISTS fuzzers)
    get_filename_component(fuzzer ${source} NAME_WE)
    string(REPLACE "fuzz_" "" thing ${fuzzer})
    set(thing_sources)
    if(EXISTS ${CMAKE_SOURCE_DIR}/tools/${thing}.c) # a parser of the program itself is in no library
        set(thing_sources ${CMAKE_SOURCE_DIR}/tools/${thing}.c)
    endif()
    add_executable(replay_${thing} ${source} ${thing_sources} ${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c)
    target_link_libraries(replay_${thing} PRIVATE ${test_layers} rr_yyjson)
    add_test(NAME fuzz_replay_${thing} COMMAND replay_${thing} ${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${thing})
    set_tests_properties(fuzz_replay_${thing} PROPERTIES LABELS unit TIMEOUT 1800)
    if(REARANK_FUZZ)
        add_executable(${fuzzer} ${source} ${thing_sources})
        target_link_libraries(${fuzzer} PRIVATE ${test_layers} rr_yyjson)
        target_link_options(${fuzzer} PRIVATE -fsanitize=fuzzer)
    endif()
endforeach()
