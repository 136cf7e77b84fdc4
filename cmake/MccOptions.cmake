# Warnings and sanitizers, the same for every library and program of the project.

option(MCC_WERROR "Treat warnings as errors" OFF)
option(MCC_SANITIZE "Build with address and undefined-behaviour sanitizers" OFF)
option(MCC_FUZZ "Build the fuzz targets for libFuzzer; needs clang" OFF)

add_compile_options(
  -pedantic -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wcast-qual -Wpointer-arith -Wundef -Wvla -Wwrite-strings
  -Wimplicit-fallthrough -Wdouble-promotion -Wformat=2)
# Asserts stay in every build, and messages name files as the sources do.
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-O3" "-O2" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
if(MCC_WERROR)
  add_compile_options(-Werror)
endif()
if(MCC_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
if(MCC_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address)
endif()

# Generated code and mcc's own folding agree bit for bit only without contraction.
add_compile_options(-ffp-contract=off)

# mcc_library(NAME SOURCES...): one static library a folder, includes spelled from the root.
function(mcc_library name)
  add_library(${name} STATIC ${ARGN})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
endfunction()
