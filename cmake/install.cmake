# make install: bin/lmms, and under lib/lmms its liblmms.so and all that they are linked with, in the folders that
# scripts/bootstrap.sh has it in, for libtorch looks for nvidia/ beside torch/. Run paths are relative: the folder may be moved.
#   component  what
#   common     bin/lmms, liblmms_video.so, the small libraries of the system that another machine may lack, and the licences
#   cpu        liblmms.so for a CPU
#   gpu        cuda/liblmms.so
#   torch      libtorch, pyarrow's libraries and those of CUDA that libtorch opens without a GPU too: 570 MB
#   torch_gpu  CUDA's half of libtorch, 460 MB, and what scripts/bootstrap.sh fetched for it where there is a GPU (cuBLAS, cuDNN,
#              NCCL and their kin: 2.3 GB); without these they are the machine's
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
add_custom_target(programs DEPENDS ${programs})
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
