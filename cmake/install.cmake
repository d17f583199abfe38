# make install: bin/lmms (and bin/cuda/lmms), and under lib/lmms all that they are linked with, in the folders that
# scripts/bootstrap.sh has it in, for libtorch looks for nvidia/ beside torch/. Run paths are relative: the folder may be moved.
#   component  what
#   cpu        the program and its liblmms.so
#   gpu        the CUDA program and its own
#   common     liblmms_video.so, and the small libraries of the system that another machine may lack
#   torch      libtorch, pyarrow's libraries and those of CUDA that libtorch opens without a GPU too: 570 MB
#   torch_gpu  CUDA's half of libtorch, 460 MB; cuBLAS, cuDNN and NCCL are the machine's
set(LMMS_LIB lib/lmms)

function(lmms_install program library component folder)
  file(RELATIVE_PATH up "/bin${folder}" "/")
  set(program_paths "$ORIGIN/${up}${LMMS_LIB}${folder}")
  file(RELATIVE_PATH shared "/lmms${folder}" "/lmms")  # from the library to what both flavours share
  set(library_paths "$ORIGIN/${shared}")
  foreach(wheel torch/lib pyarrow)
    list(APPEND program_paths "$ORIGIN/${up}${LMMS_LIB}/${wheel}")
    list(APPEND library_paths "$ORIGIN/${shared}${wheel}")
  endforeach()
  set_target_properties(${program} PROPERTIES INSTALL_RPATH "${program_paths}")
  set_target_properties(${library} PROPERTIES INSTALL_RPATH "${library_paths}")
  install(TARGETS ${program} RUNTIME DESTINATION bin${folder} COMPONENT ${component})
  install(TARGETS ${library} RUNTIME_DEPENDENCY_SET lmms_needs LIBRARY DESTINATION ${LMMS_LIB}${folder} COMPONENT ${component})
endfunction()

lmms_install(lmms lmms_library cpu "")
set(programs lmms lmms_video)
if(LMMS_HAS_CUDA)
  lmms_install(lmms_gpu lmms_library_gpu gpu /cuda)
  list(APPEND programs lmms_gpu)
endif()
add_custom_target(programs DEPENDS ${programs})
install(TARGETS lmms_video LIBRARY DESTINATION ${LMMS_LIB} COMPONENT common)
# Every Linux has libc and its kin, the compiler's run time and zlib.
install(RUNTIME_DEPENDENCY_SET lmms_needs
  PRE_EXCLUDE_REGEXES "^lib(c|m|dl|rt|pthread|util|resolv|gcc_s|stdc\\+\\+|z)\\.so" "^ld-linux" "^lib(torch|c10|arrow|parquet|gomp|cu)"
  LIBRARY DESTINATION ${LMMS_LIB} COMPONENT common)

get_property(files GLOBAL PROPERTY LMMS_SITE_FILES)
file(GLOB_RECURSE cuda_runtime RELATIVE "${SITE}" "${SITE}/nvidia/*/lib/*.so*")
foreach(file ${files} ${cuda_runtime})
  get_filename_component(folder "${file}" DIRECTORY)
  set(component torch)
  if(file MATCHES "^torch/lib/.*(cuda|nvshmem)")
    set(component torch_gpu)
  endif()
  install(PROGRAMS "${SITE}/${file}" DESTINATION ${LMMS_LIB}/${folder} COMPONENT ${component})
endforeach()
