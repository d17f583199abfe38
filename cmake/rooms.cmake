# lmms_room(NAME DEPS ...): everything under src/NAME as the object library lmms_NAME, with its tests found beside the code.
# The objects of all rooms are one shared library, lmms_library(); the tests of a room are linked with the objects of that room
# and of those below it alone, so that no room waits for one above it, nor leans on it unnoticed.
#   *_test.cpp        one program NAME_test, run by ctest under the label unit
#   *_gpu_test.cpp    one program NAME_gpu_test with CUDA, label gpu, built by the target gpu_tests
#   *_testing.cpp     what both kinds of test share
#   *_bench.cpp       one program NAME_bench, built by the target benchmarks
#   *_gpu_bench.cpp   one program NAME_gpu_bench with CUDA and its own main in *_benching.cpp, built by the target gpu_benchmarks
#   *_none.cpp        what a build without CUDA links for a *_cuda.cpp of the same name; in lmms_NAME_none_objects
#   *_cuda.cpp, *.cu  in lmms_NAME_cuda_objects; no other object depends on CUDA, so nothing is compiled twice
#   *_module.cpp      a shared library of its own that the program opens when it needs it: lmms_module()
#   *_program.cpp     the main of an executable that CMakeLists.txt makes
#   *.css *.js *.html strings inside the library: src/report/page.js is lmms::report::embedded::page_js, which a
#                     user declares: namespace lmms::report::embedded { extern const std::string_view page_js; }
add_custom_target(benchmarks)
foreach(target gpu_tests gpu_benchmarks)
  if(LMMS_HAS_CUDA)
    add_custom_target(${target})
  else()
    add_custom_target(${target} VERBATIM COMMAND ${CMAKE_COMMAND} -E echo "This build is without CUDA: ${LMMS_NO_CUDA}."
      COMMAND ${CMAKE_COMMAND} -E false)
  endif()
endforeach()
# -Wrestrict: false positives on std::string in GCC 12 (its bug 105651)
set(LMMS_WARNINGS $<$<COMPILE_LANGUAGE:CXX>:-Wall> $<$<COMPILE_LANGUAGE:CXX>:-Wextra> $<$<COMPILE_LANGUAGE:CXX>:-Werror>
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)

function(lmms_room name)
  cmake_parse_arguments(ROOM "" "" "DEPS" ${ARGN})
  set(dir "${CMAKE_SOURCE_DIR}/src/${name}")
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${dir}/*.cpp")
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${dir}/*.h")
  file(GLOB_RECURSE kernels CONFIGURE_DEPENDS "${dir}/*.cu")
  set(public ${headers})
  list(FILTER public EXCLUDE REGEX "_(testing|cases|benching)\\.h$")
  set_property(GLOBAL APPEND PROPERTY LMMS_PLUGIN_HEADERS ${public})
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  set(gpu_tests ${tests})
  list(FILTER gpu_tests INCLUDE REGEX "_gpu_test\\.cpp$")
  list(FILTER tests EXCLUDE REGEX "_gpu_test\\.cpp$")
  set(testing ${sources})
  list(FILTER testing INCLUDE REGEX "_testing\\.cpp$")
  set(benches ${sources})
  list(FILTER benches INCLUDE REGEX "_bench\\.cpp$")
  set(gpu_benches ${sources})
  list(FILTER gpu_benches INCLUDE REGEX "_gpu_bench\\.cpp$|_benching\\.cpp$")
  list(FILTER benches EXCLUDE REGEX "_gpu_bench\\.cpp$")
  set(parts_none ${sources})
  list(FILTER parts_none INCLUDE REGEX "_none\\.cpp$")
  set(parts_cuda ${sources})
  list(FILTER parts_cuda INCLUDE REGEX "_cuda\\.cpp$")
  list(APPEND parts_cuda ${kernels})
  list(FILTER sources EXCLUDE REGEX "_(test|testing|bench|benching|none|cuda|module|program)\\.cpp$")

  file(GLOB_RECURSE texts CONFIGURE_DEPENDS "${dir}/*.css" "${dir}/*.js" "${dir}/*.html")
  foreach(text ${texts})
    lmms_embed(embedded ${name} "${text}")
    list(APPEND sources "${embedded}")
  endforeach()

  if(sources)
    add_library(lmms_${name} OBJECT ${sources})
    target_sources(lmms_${name} INTERFACE FILE_SET HEADERS BASE_DIRS "${CMAKE_SOURCE_DIR}/src" FILES ${headers})
    target_include_directories(lmms_${name} PUBLIC "${CMAKE_SOURCE_DIR}/src")
    target_compile_options(lmms_${name} PRIVATE ${LMMS_WARNINGS})
    target_link_libraries(lmms_${name} PUBLIC ${ROOM_DEPS})
  else()  # a room of headers, or one not built yet
    add_library(lmms_${name} INTERFACE)
    target_sources(lmms_${name} INTERFACE FILE_SET HEADERS BASE_DIRS "${CMAKE_SOURCE_DIR}/src" FILES ${headers})
    target_include_directories(lmms_${name} INTERFACE "${CMAKE_SOURCE_DIR}/src")
    target_link_libraries(lmms_${name} INTERFACE ${ROOM_DEPS})
  endif()
  add_library(lmms::${name} ALIAS lmms_${name})
  set(closure ${name})
  foreach(need ${ROOM_DEPS})
    if(need MATCHES "^lmms::(.+)$")
      get_property(below GLOBAL PROPERTY LMMS_ROOMS_OF_${CMAKE_MATCH_1})
      list(APPEND closure ${below})
    else()
      set_property(GLOBAL APPEND PROPERTY LMMS_EXTERNAL ${need})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES closure)
  set_property(GLOBAL PROPERTY LMMS_ROOMS_OF_${name} ${closure})  # the room itself and those that it may use
  set_property(GLOBAL APPEND PROPERTY LMMS_ROOMS ${name})

  foreach(flavour none cuda)
    if(parts_${flavour} AND ("${flavour}" STREQUAL "none" OR LMMS_HAS_CUDA))
      add_library(lmms_${name}_${flavour}_objects OBJECT ${parts_${flavour}})
      target_compile_options(lmms_${name}_${flavour}_objects PRIVATE ${LMMS_WARNINGS})
      target_link_libraries(lmms_${name}_${flavour}_objects PUBLIC lmms_${name})
    endif()
  endforeach()
  if(TARGET lmms_${name}_cuda_objects)
    target_link_libraries(lmms_${name}_cuda_objects PUBLIC sdk::torch_cuda)
  endif()

  if(LMMS_TESTS AND tests)
    lmms_test(${name}_test unit ROOM ${name} SOURCES ${tests} ${testing})
  endif()
  if(LMMS_TESTS AND LMMS_HAS_CUDA AND gpu_tests)
    lmms_test(${name}_gpu_test gpu FLAVOUR cuda ROOM ${name} SOURCES ${gpu_tests} ${testing})
    set_target_properties(${name}_gpu_test PROPERTIES EXCLUDE_FROM_ALL ON)
    add_dependencies(gpu_tests ${name}_gpu_test)
  endif()
  if(LMMS_TESTS AND benches)
    add_executable(${name}_bench EXCLUDE_FROM_ALL ${benches})
    target_compile_options(${name}_bench PRIVATE ${LMMS_WARNINGS})
    target_link_libraries(${name}_bench PRIVATE benchmark::benchmark benchmark::benchmark_main)
    target_compile_definitions(${name}_bench PRIVATE LMMS_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    lmms_link_rooms(${name}_bench none ${name})
    add_dependencies(benchmarks ${name}_bench)
  endif()
  if(LMMS_TESTS AND LMMS_HAS_CUDA AND gpu_benches)
    add_executable(${name}_gpu_bench EXCLUDE_FROM_ALL ${gpu_benches})
    target_compile_options(${name}_gpu_bench PRIVATE ${LMMS_WARNINGS})
    lmms_link_rooms(${name}_gpu_bench cuda ${name})
    add_dependencies(gpu_benchmarks ${name}_gpu_bench)
  endif()
endfunction()

# lmms_module(NAME ROOM room SOURCE FILE INCLUDES ... LIBRARIES ...): liblmms_NAME.so beside the programs, with libraries that none
# of them is linked with. It is built with its room and stands outside of it: a C interface is between them.
function(lmms_module name)
  cmake_parse_arguments(MODULE "" "ROOM;SOURCE" "INCLUDES;LIBRARIES" ${ARGN})
  add_library(lmms_${name} MODULE "${CMAKE_SOURCE_DIR}/src/${MODULE_ROOM}/${MODULE_SOURCE}")
  set_target_properties(lmms_${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${CMAKE_RUNTIME_OUTPUT_DIRECTORY}"
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_compile_options(lmms_${name} PRIVATE ${LMMS_WARNINGS})
  target_include_directories(lmms_${name} PRIVATE "${CMAKE_SOURCE_DIR}/src")
  target_include_directories(lmms_${name} SYSTEM PRIVATE ${MODULE_INCLUDES})
  target_link_libraries(lmms_${name} PRIVATE ${MODULE_LIBRARIES})
  add_dependencies(lmms_${MODULE_ROOM} lmms_${name})
endfunction()

# Sets OUT to the .cpp that holds the text of FILE, made again when the text changes.
function(lmms_embed out room file)
  file(RELATIVE_PATH name "${CMAKE_SOURCE_DIR}/src/${room}" "${file}")
  string(MAKE_C_IDENTIFIER "${name}" name)
  set(made "${CMAKE_BINARY_DIR}/embedded/${room}/${name}.cpp")
  add_custom_command(OUTPUT "${made}" DEPENDS "${file}" "${CMAKE_SOURCE_DIR}/cmake/embed.cmake" VERBATIM
    COMMAND ${CMAKE_COMMAND} "-DINPUT=${file}" "-DOUTPUT=${made}" -DROOM=${room} -DNAME=${name}
      -P "${CMAKE_SOURCE_DIR}/cmake/embed.cmake")
  set(${out} "${made}" PARENT_SCOPE)
endfunction()

# train/plugin_interface.h: a number of all headers that a plugin may include, made again when one of them changes. A plugin that
# was compiled with others is refused (train/plugins.h).
function(lmms_plugin_interface)
  get_property(headers GLOBAL PROPERTY LMMS_PLUGIN_HEADERS)
  list(SORT headers)
  list(JOIN headers "\n" names)
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/plugin_headers.txt" CONTENT "${names}\n" @ONLY)
  set(made "${CMAKE_BINARY_DIR}/generated/train/plugin_interface.h")
  add_custom_command(OUTPUT "${made}.made" BYPRODUCTS "${made}" VERBATIM
    DEPENDS ${headers} "${CMAKE_BINARY_DIR}/plugin_headers.txt" "${CMAKE_SOURCE_DIR}/cmake/plugin_interface.cmake"
    COMMAND ${CMAKE_COMMAND} "-DHEADERS=${CMAKE_BINARY_DIR}/plugin_headers.txt" "-DOUTPUT=${made}"
      -P "${CMAKE_SOURCE_DIR}/cmake/plugin_interface.cmake")
  add_custom_target(plugin_interface DEPENDS "${made}.made")
  add_dependencies(lmms_train plugin_interface)
  target_include_directories(lmms_train PUBLIC "${CMAKE_BINARY_DIR}/generated")
endfunction()

# lmms_link_rooms(TARGET FLAVOUR ROOM...): links the objects of these rooms and of all that they may use, with what stands in
# for CUDA (none) or CUDA itself (cuda).
function(lmms_link_rooms target flavour)
  set(rooms "")
  foreach(room ${ARGN})
    get_property(closure GLOBAL PROPERTY LMMS_ROOMS_OF_${room})
    list(APPEND rooms ${closure})
  endforeach()
  list(REMOVE_DUPLICATES rooms)
  foreach(room ${rooms})
    target_link_libraries(${target} PRIVATE lmms_${room})
    if(TARGET lmms_${room}_${flavour}_objects)
      target_link_libraries(${target} PRIVATE lmms_${room}_${flavour}_objects)
    endif()
  endforeach()
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
endfunction()

# lmms_library(TARGET FLAVOUR FOLDER): liblmms.so in FOLDER, all rooms. Tests that link TARGET find the rooms' headers and
# what those include. It shows its entry, the names of the project and of its fmt alone (cmake/liblmms.map): what it was linked with
# statically, and templates of other libraries, stay its own. -z defs: no name may be missing.
function(lmms_library target flavour folder)
  get_property(rooms GLOBAL PROPERTY LMMS_ROOMS)
  get_property(external GLOBAL PROPERTY LMMS_EXTERNAL)
  list(REMOVE_DUPLICATES external)
  set(map "${CMAKE_SOURCE_DIR}/cmake/liblmms.map")
  add_library(${target} SHARED)
  lmms_link_rooms(${target} ${flavour} ${rooms})
  target_include_directories(${target} INTERFACE "${CMAKE_SOURCE_DIR}/src")
  target_link_libraries(${target} PUBLIC ${external})
  target_link_options(${target} PRIVATE "LINKER:--version-script=${map}" LINKER:-Bsymbolic-functions)
  if(NOT LMMS_SANITIZE)
    target_link_options(${target} PRIVATE LINKER:-z,defs)
  endif()
  if(flavour STREQUAL cuda)  # what libtorch_cuda needs may be absent where it is linked
    target_link_options(${target} INTERFACE LINKER:--allow-shlib-undefined)
  endif()
  set_target_properties(${target} PROPERTIES OUTPUT_NAME lmms LIBRARY_OUTPUT_DIRECTORY "${folder}" LINK_DEPENDS "${map}")
endfunction()

# lmms_test(NAME LABEL [FLAVOUR cuda] [ROOM room] SOURCES ...): one GoogleTest program, one line of ctest. It is linked with the
# objects of ROOM and of those below it, or else with liblmms.so.
function(lmms_test name label)
  cmake_parse_arguments(TEST "" "FLAVOUR;ROOM" "SOURCES" ${ARGN})
  if(NOT TEST_FLAVOUR)
    set(TEST_FLAVOUR none)
  endif()
  add_executable(${name} ${TEST_SOURCES})
  # -O1: a fifth less to compile; what takes time in a test is in the rooms.
  target_compile_options(${name} PRIVATE ${LMMS_WARNINGS} $<$<COMPILE_LANGUAGE:CXX>:-O1>)
  target_link_libraries(${name} PRIVATE GTest::gtest GTest::gmock GTest::gtest_main)
  if(TEST_ROOM)
    lmms_link_rooms(${name} ${TEST_FLAVOUR} ${TEST_ROOM})
  else()
    target_link_libraries(${name} PRIVATE lmms_library)
  endif()
  target_compile_definitions(${name} PRIVATE LMMS_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  # Tests run beside each other: threads that spin while they wait would starve them.
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 900 ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()
