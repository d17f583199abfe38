# lmms_room(NAME DEPS ...): everything under src/NAME as one static library lmms_NAME, with its tests found beside the code.
#   *_test.cpp        one program NAME_test, run by ctest under the label unit
#   *_gpu_test.cpp    one program NAME_gpu_test with CUDA, label gpu, built by the target gpu_tests
#   *_testing.cpp     what both kinds of test share
#   *_bench.cpp       one program NAME_bench, built by the target benchmarks
#   *_gpu_bench.cpp   one program NAME_gpu_bench with CUDA and its own main in *_benching.cpp, built by the target gpu_benchmarks
#   *_none.cpp        what a build without CUDA links for a *_cuda.cpp of the same name; in lmms_NAME_none
#   *_cuda.cpp, *.cu  in lmms_NAME_cuda; no other object depends on CUDA, so nothing is compiled twice
#   *_module.cpp      a shared library of its own that the program opens when it needs it: lmms_module()
#   *.css *.js *.html strings inside the library: src/train/report/page.js is lmms::train::embedded::report_page_js, which a
#                     user declares: namespace lmms::train::embedded { extern const std::string_view report_page_js; }
set(LMMS_ROOMS "" CACHE INTERNAL "")
add_custom_target(benchmarks)
foreach(target gpu_tests gpu_benchmarks)
  if(LMMS_HAS_CUDA)
    add_custom_target(${target})
  else()
    add_custom_target(${target} VERBATIM COMMAND ${CMAKE_COMMAND} -E echo "No CUDA program in this build: ${LMMS_NO_CUDA}."
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
  list(FILTER sources EXCLUDE REGEX "_(test|testing|bench|benching|none|cuda|module)\\.cpp$")

  file(GLOB_RECURSE texts CONFIGURE_DEPENDS "${dir}/*.css" "${dir}/*.js" "${dir}/*.html")
  foreach(text ${texts})
    lmms_embed(embedded ${name} "${text}")
    list(APPEND sources "${embedded}")
  endforeach()

  if(sources)
    add_library(lmms_${name} STATIC ${sources})
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
  set(LMMS_ROOMS ${LMMS_ROOMS} ${name} CACHE INTERNAL "")

  foreach(flavour none cuda)
    add_library(lmms_${name}_${flavour} INTERFACE)
    if(parts_${flavour} AND ("${flavour}" STREQUAL "none" OR LMMS_HAS_CUDA))
      add_library(lmms_${name}_${flavour}_objects STATIC ${parts_${flavour}})
      target_compile_options(lmms_${name}_${flavour}_objects PRIVATE ${LMMS_WARNINGS})
      target_link_libraries(lmms_${name}_${flavour}_objects PUBLIC lmms_${name})
      target_link_libraries(lmms_${name}_${flavour} INTERFACE lmms_${name}_${flavour}_objects)
    endif()
  endforeach()
  if(TARGET lmms_${name}_cuda_objects)
    target_link_libraries(lmms_${name}_cuda_objects PUBLIC sdk::torch_cuda)
  endif()

  if(LMMS_TESTS AND tests)
    lmms_test(${name}_test unit DEPS lmms_${name} SOURCES ${tests} ${testing})
  endif()
  if(LMMS_TESTS AND LMMS_HAS_CUDA AND gpu_tests)
    lmms_test(${name}_gpu_test gpu FLAVOUR cuda DEPS lmms_${name} SOURCES ${gpu_tests} ${testing})
    set_target_properties(${name}_gpu_test PROPERTIES EXCLUDE_FROM_ALL ON)
    add_dependencies(gpu_tests ${name}_gpu_test)
  endif()
  if(LMMS_TESTS AND benches)
    add_executable(${name}_bench EXCLUDE_FROM_ALL ${benches})
    target_compile_options(${name}_bench PRIVATE ${LMMS_WARNINGS})
    target_link_libraries(${name}_bench PRIVATE lmms_${name} benchmark::benchmark benchmark::benchmark_main)
    target_compile_definitions(${name}_bench PRIVATE LMMS_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    lmms_link_flavour(${name}_bench none)
    add_dependencies(benchmarks ${name}_bench)
  endif()
  if(LMMS_TESTS AND LMMS_HAS_CUDA AND gpu_benches)
    add_executable(${name}_gpu_bench EXCLUDE_FROM_ALL ${gpu_benches})
    target_compile_options(${name}_gpu_bench PRIVATE ${LMMS_WARNINGS})
    target_link_libraries(${name}_gpu_bench PRIVATE lmms_${name})
    lmms_link_flavour(${name}_gpu_bench cuda)
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
  install(TARGETS lmms_${name} LIBRARY DESTINATION lib COMPONENT gpu)
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

# Links what stands in for CUDA (none) or CUDA itself, of every room.
function(lmms_link_flavour target flavour)
  foreach(room ${LMMS_ROOMS})
    target_link_libraries(${target} PRIVATE lmms_${room}_${flavour})
  endforeach()
endfunction()

# lmms_test(NAME LABEL [FLAVOUR cuda] DEPS ... SOURCES ...): one GoogleTest program, one line of ctest.
function(lmms_test name label)
  cmake_parse_arguments(TEST "" "FLAVOUR" "DEPS;SOURCES" ${ARGN})
  if(NOT TEST_FLAVOUR)
    set(TEST_FLAVOUR none)
  endif()
  add_executable(${name} ${TEST_SOURCES})
  target_compile_options(${name} PRIVATE ${LMMS_WARNINGS})
  target_link_libraries(${name} PRIVATE ${TEST_DEPS} GTest::gtest GTest::gmock GTest::gtest_main)
  lmms_link_flavour(${name} ${TEST_FLAVOUR})
  target_compile_definitions(${name} PRIVATE LMMS_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1)
  # Tests run beside each other: threads that spin while they wait would starve them.
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT 900 ENVIRONMENT OMP_WAIT_POLICY=passive)
endfunction()
