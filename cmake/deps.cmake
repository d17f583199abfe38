# Imported targets for what scripts/bootstrap.sh laid down. find_package(Torch) would demand a CUDA toolkit, and the pyarrow
# wheel has no CMake files: the few libraries that we link are named here instead.
set(SITE "${CMAKE_SOURCE_DIR}/.deps/site" CACHE PATH "where scripts/bootstrap.sh unpacked the wheels")
if(NOT EXISTS "${SITE}/torch/lib/libtorch_cpu.so")
  message(FATAL_ERROR "${SITE} holds no libtorch. Run scripts/bootstrap.sh first (make does it by itself).")
endif()

function(sdk_lib name file)
  add_library(sdk::${name} SHARED IMPORTED GLOBAL)
  get_filename_component(soname "${file}" NAME)
  set_target_properties(sdk::${name} PROPERTIES IMPORTED_LOCATION "${file}" IMPORTED_SONAME "${soname}")
  target_include_directories(sdk::${name} SYSTEM INTERFACE ${ARGN})
endfunction()

# fmt: the copy inside torch's headers (another version beside it clashes); core/format.cpp compiles it once.
add_library(sdk::fmt INTERFACE IMPORTED GLOBAL)
target_include_directories(sdk::fmt SYSTEM INTERFACE "${SITE}/fmt")

set(torch_includes "${SITE}/torch/include" "${SITE}/torch/include/torch/csrc/api/include")
sdk_lib(c10 "${SITE}/torch/lib/libc10.so" ${torch_includes})
sdk_lib(torch_cpu "${SITE}/torch/lib/libtorch_cpu.so" ${torch_includes})
target_compile_definitions(sdk::torch_cpu INTERFACE AT_PER_OPERATOR_HEADERS USE_DISTRIBUTED USE_C10D_GLOO)
target_link_libraries(sdk::torch_cpu INTERFACE sdk::c10)
# at::parallel_for is a template around OpenMP pragmas: a file that calls it must be compiled with -fopenmp, or it runs on one
# thread. lmms_parallel_sources(ROOM FILE...) names such files. The run-time library is libtorch's own.
sdk_lib(gomp "${SITE}/torch/lib/libgomp.so.1")
function(lmms_parallel_sources room)
  foreach(file ${ARGN})
    set_source_files_properties("${CMAKE_SOURCE_DIR}/src/${room}/${file}" PROPERTIES COMPILE_OPTIONS -fopenmp)
  endforeach()
  target_link_libraries(lmms_${room} PUBLIC sdk::gomp)
endfunction()
sdk_lib(arrow "${SITE}/pyarrow/libarrow.so.2500" "${SITE}/pyarrow/include")
sdk_lib(parquet "${SITE}/pyarrow/libparquet.so.2500" "${SITE}/pyarrow/include")
target_link_libraries(sdk::parquet INTERFACE sdk::arrow)

find_package(yaml-cpp REQUIRED)
if(NOT TARGET yaml-cpp::yaml-cpp)  # its name since 0.8
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()
find_package(nlohmann_json REQUIRED)
find_package(simdjson REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Threads REQUIRED)
find_library(PCRE2_LIBRARY pcre2-8 REQUIRED)
# The codecs of images are linked into the program: another machine needs none of them.
set(MEDIA_LIBRARIES "")
foreach(library jpeg png16 webpdemux webp z)
  find_library(MEDIA_${library} NAMES lib${library}.a ${library} REQUIRED)
  list(APPEND MEDIA_LIBRARIES "${MEDIA_${library}}")
endforeach()
# FFmpeg is behind liblmms_video.so alone, which the program opens at the first video.
set(FFMPEG_LIBRARIES "")
find_path(FFMPEG_INCLUDES libavformat/avformat.h REQUIRED)
foreach(library avformat avcodec swscale avutil)
  find_library(FFMPEG_${library} ${library} REQUIRED)
  list(APPEND FFMPEG_LIBRARIES "${FFMPEG_${library}}")
endforeach()
if(LMMS_TESTS)
  find_package(GTest REQUIRED)
  find_package(benchmark REQUIRED)
endif()

# nvcc: AUTO takes it where it is found. The toolkit's headers suffice; a driver, cuBLAS and cuDNN need not be present to link.
set(LMMS_CUDA AUTO CACHE STRING "build the CUDA program too: AUTO, ON or OFF")
set(LMMS_HAS_CUDA OFF)
if(NOT LMMS_CUDA STREQUAL OFF)
  find_program(CMAKE_CUDA_COMPILER nvcc HINTS /usr/local/cuda/bin)
  if(CMAKE_CUDA_COMPILER AND EXISTS "${SITE}/torch/lib/libtorch_cuda.so")
    set(LMMS_HAS_CUDA ON)
  elseif(LMMS_CUDA STREQUAL ON)
    message(FATAL_ERROR "LMMS_CUDA=ON, but nvcc or libtorch_cuda.so is missing; install the CUDA 13 toolkit, then run scripts/bootstrap.sh")
  endif()
endif()
if(LMMS_HAS_CUDA)
  set(LMMS_CUDA_ARCHITECTURES "80-real;90a-real;100-real" CACHE STRING "what nvcc compiles for")
  set(CMAKE_CUDA_ARCHITECTURES "${LMMS_CUDA_ARCHITECTURES}")
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc 12 and later speak C++20
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  find_package(CUDAToolkit REQUIRED)
  sdk_lib(c10_cuda "${SITE}/torch/lib/libc10_cuda.so" ${torch_includes})
  sdk_lib(torch_cuda "${SITE}/torch/lib/libtorch_cuda.so" ${torch_includes})
  target_link_libraries(sdk::torch_cuda INTERFACE sdk::torch_cpu sdk::c10_cuda CUDA::cudart_static)
  # libtorch_cuda registers its operators when it is loaded: it is needed even where no symbol of it is named.
  target_link_options(sdk::torch_cuda INTERFACE -Wl,--allow-shlib-undefined
    "LINKER:--push-state,--no-as-needed,${SITE}/torch/lib/libtorch_cuda.so,--pop-state")
  # cudnn-frontend is headers alone, and opens the libcudnn that libtorch_cuda brings: no library is linked.
  find_path(CUDNN_INCLUDES cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS} "${SITE}/nvidia/cudnn/include" REQUIRED)
  add_library(sdk::cudnn_frontend INTERFACE IMPORTED GLOBAL)
  target_include_directories(sdk::cudnn_frontend SYSTEM INTERFACE "${SITE}/include" "${CUDNN_INCLUDES}")
endif()
