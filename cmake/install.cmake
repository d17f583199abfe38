# make install: bin/lmms, and under lib/lmms its liblmms.so and all that they are linked with, in the folders that
# scripts/bootstrap.sh has it in, for libtorch looks for nvidia/ beside torch/. Run paths are relative: the folder may be moved.
#   component  what
#   common     bin/lmms, liblmms_video.so, the small libraries of the system that another machine may lack, and the licences
#   cpu        liblmms.so for a CPU
#   gpu        cuda/liblmms.so
#   torch      libtorch, pyarrow's libraries and those of CUDA that libtorch opens without a GPU too: 570 MB
#   torch_gpu  CUDA's half of libtorch, 460 MB, and what scripts/bootstrap.sh fetched for it where there is a GPU (cuBLAS, cuDNN,
#              NCCL and their kin: 2.3 GB); without these they are the machine's
#   devel      headers, ours and those that they include, and find_package(lmms), for plugins: 60 MB
set(LMMS_LIB lib/lmms)

function(lmms_install library component folder)
  file(RELATIVE_PATH shared "/lmms${folder}" "/lmms")  # from the library to what both flavours share
  set(paths "$ORIGIN/${shared}")
  foreach(wheel torch/lib pyarrow)
    list(APPEND paths "$ORIGIN/${shared}${wheel}")
  endforeach()
  set_target_properties(${library} PROPERTIES INSTALL_RPATH "${paths}")
  install(TARGETS ${library} RUNTIME_DEPENDENCY_SET lmms_needs LIBRARY DESTINATION ${LMMS_LIB}${folder} COMPONENT ${component})
endfunction()

lmms_install(lmms_library cpu "")
set(programs lmms lmms_video)
if(LMMS_HAS_CUDA)
  lmms_install(lmms_library_gpu gpu /cuda)
  list(APPEND programs lmms_library_gpu)
endif()
# Completion of bash and zsh, as the program itself prints it.
if(NOT LMMS_SANITIZE)
  set(completion "${CMAKE_BINARY_DIR}/completion")
  add_custom_command(OUTPUT "${completion}/lmms" "${completion}/_lmms" DEPENDS lmms lmms_library VERBATIM
    COMMAND ${CMAKE_COMMAND} -E make_directory "${completion}"
    COMMAND ${CMAKE_COMMAND} -E env LMMS_DEVICE=cpu sh -c "\"$<TARGET_FILE:lmms>\" completion bash >\"${completion}/lmms\""
    COMMAND ${CMAKE_COMMAND} -E env LMMS_DEVICE=cpu sh -c "\"$<TARGET_FILE:lmms>\" completion zsh >\"${completion}/_lmms\"")
  add_custom_target(completion ALL DEPENDS "${completion}/lmms" "${completion}/_lmms")
  list(APPEND programs completion)
  install(FILES "${completion}/lmms" DESTINATION share/bash-completion/completions COMPONENT common)
  install(FILES "${completion}/_lmms" DESTINATION share/zsh/site-functions COMPONENT common)
endif()
add_custom_target(programs DEPENDS ${programs} plugin_interface)
install(TARGETS lmms RUNTIME DESTINATION bin COMPONENT common)
install(TARGETS lmms_video LIBRARY DESTINATION ${LMMS_LIB} COMPONENT common)
# Licences: ours, and of what is copied or compiled in: the wheels' texts, and those of Debian's packages where they are kept.
install(FILES LICENSE THIRD_PARTY.md DESTINATION share/doc/lmms COMPONENT common)
install(DIRECTORY "${SITE}/licenses" DESTINATION share/doc/lmms COMPONENT common OPTIONAL)
foreach(package libyaml-cpp-dev nlohmann-json3-dev libsimdjson-dev libcli11-dev libpcre2-dev libjpeg62-turbo-dev libjpeg-turbo8-dev
    libpng-dev libwebp-dev libedit-dev libbsd0 libmd0 libtinfo6)
  if(EXISTS "/usr/share/doc/${package}/copyright")
    install(FILES "/usr/share/doc/${package}/copyright" RENAME ${package}.txt DESTINATION share/doc/lmms/licenses COMPONENT common)
  endif()
endforeach()
# Every Linux has libc and its kin, the compiler's run time and zlib.
install(RUNTIME_DEPENDENCY_SET lmms_needs
  PRE_EXCLUDE_REGEXES "^lib(c|m|dl|rt|pthread|util|resolv|gcc_s|stdc\\+\\+|z)\\.so" "^ld-linux" "^lib(torch|c10|arrow|parquet|gomp|cu)"
  LIBRARY DESTINATION ${LMMS_LIB} COMPONENT common)

get_property(files GLOBAL PROPERTY LMMS_SITE_FILES)
file(GLOB_RECURSE cuda_runtime RELATIVE "${SITE}" "${SITE}/nvidia/*/lib/*.so*")
foreach(file ${files} ${cuda_runtime})
  get_filename_component(folder "${file}" DIRECTORY)
  set(component torch)
  if(file MATCHES "^torch/lib/.*(cuda|nvshmem)" OR
     (file MATCHES "^nvidia/" AND NOT file MATCHES "/lib(cudart|cupti|nvperf_host|nvperf_target|pcsamplingutil|checkpoint)\\."))
    set(component torch_gpu)
  endif()
  install(PROGRAMS "${SITE}/${file}" DESTINATION ${LMMS_LIB}/${folder} COMPONENT ${component})
endforeach()

# For plugins: the headers of all rooms, below include/lmms as they include each other, and those of others that they include. Of
# libtorch's all but Python's and those of libraries that are compiled in.
get_property(headers GLOBAL PROPERTY LMMS_PLUGIN_HEADERS)
foreach(header ${headers})
  file(RELATIVE_PATH name "${CMAKE_SOURCE_DIR}/src" "${header}")
  get_filename_component(folder "${name}" DIRECTORY)
  install(FILES "${header}" DESTINATION include/lmms/${folder} COMPONENT devel)
endforeach()
install(FILES "${CMAKE_BINARY_DIR}/generated/train/plugin_interface.h" DESTINATION include/lmms/train COMPONENT devel)
foreach(folder ATen c10 torch caffe2)
  install(DIRECTORY "${SITE}/torch/include/${folder}" DESTINATION include/lmms/third_party/torch COMPONENT devel FILES_MATCHING
    PATTERN "*.h" PATTERN "*.hpp" PATTERN "*.cuh" PATTERN "*.inc" PATTERN "python" EXCLUDE)
endforeach()
install(DIRECTORY "${SITE}/torch/include/fmt" DESTINATION include/lmms/third_party COMPONENT devel)
find_path(NLOHMANN_INCLUDES nlohmann/json.hpp REQUIRED)
install(DIRECTORY "${NLOHMANN_INCLUDES}/nlohmann" DESTINATION include/lmms/third_party COMPONENT devel)
include(CMakePackageConfigHelpers)
string(REGEX MATCH "^[0-9]+" compiler "${CMAKE_CXX_COMPILER_VERSION}")
set(LMMS_COMPILER "${CMAKE_CXX_COMPILER_ID} ${compiler}")
get_target_property(LMMS_DEFINITIONS sdk::torch_cpu INTERFACE_COMPILE_DEFINITIONS)
configure_file(cmake/lmmsConfig.cmake.in "${CMAKE_BINARY_DIR}/lmmsConfig.cmake" @ONLY)
write_basic_package_version_file("${CMAKE_BINARY_DIR}/lmmsConfigVersion.cmake" COMPATIBILITY ExactVersion)
install(FILES "${CMAKE_BINARY_DIR}/lmmsConfig.cmake" "${CMAKE_BINARY_DIR}/lmmsConfigVersion.cmake"
  DESTINATION lib/cmake/lmms COMPONENT devel)
