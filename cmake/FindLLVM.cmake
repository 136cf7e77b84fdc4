# LLVM's C API: the target LLVM::C and LLVM_VERSION.
#
# LLVM_CONFIG names the llvm-config program to ask; by default the newest tested
# version, then what else is there.
find_program(LLVM_CONFIG NAMES llvm-config-19 llvm-config-20 llvm-config-21 llvm-config-22
             llvm-config-18 llvm-config-17 llvm-config-16 llvm-config
             PATHS /usr/lib/llvm-19/bin DOC "The llvm-config program of the LLVM to use")
if(LLVM_CONFIG)
  function(ask_llvm variable)
    execute_process(COMMAND ${LLVM_CONFIG} ${ARGN} OUTPUT_VARIABLE text ERROR_QUIET
                    OUTPUT_STRIP_TRAILING_WHITESPACE)
    set(${variable} "${text}" PARENT_SCOPE)
  endfunction()
  ask_llvm(LLVM_VERSION --version)
  ask_llvm(include --includedir)
  ask_llvm(libraries --link-shared --libfiles)
  if(NOT libraries)
    ask_llvm(libraries --link-static --libfiles)
    ask_llvm(system --link-static --system-libs)
    find_package(Threads)
    list(APPEND libraries stdc++)
  endif()
  separate_arguments(libraries UNIX_COMMAND "${libraries} ${system}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LLVM REQUIRED_VARS LLVM_CONFIG libraries include
                                  VERSION_VAR LLVM_VERSION)
if(LLVM_FOUND AND NOT TARGET LLVM::C)
  add_library(LLVM::C INTERFACE IMPORTED)
  set_target_properties(LLVM::C PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "${include}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${include}"
    INTERFACE_LINK_LIBRARIES "${libraries}")
endif()
