# One helper per kind of target; nothing here is set globally except where the build's own outputs go.
include(GNUInstallDirs)

# Flags that every one of our targets gets, and nobody who links to us.
function(ferry_flags target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion
    -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers
    # Fully optimising GCC 12 sees overlaps and overflows in std::string's own operator+ (its bugs 105329 and 105651).
    "$<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-restrict;-Wno-stringop-overflow;-Wno-array-bounds>")
  # So that a precompiled header from a compiler cache fits a fresh clone, whose files are younger.
  target_compile_options(${target} PRIVATE "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>")
  if(FERRY_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(FERRY_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${FERRY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${FERRY_SANITIZE})
    # Asio's fences, which ThreadSanitizer does not follow; its mutexes order the same accesses.
    target_compile_options(${target} PRIVATE "$<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>")
  endif()
  if(FERRY_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage -fprofile-update=atomic)  # threads count too
    target_link_options(${target} PRIVATE --coverage)
  endif()
endfunction()

# ferry_asio: Asio's and Beast's functions as a library, for all who link to it. Who links to an installed Ferry may have
# them as their headers come, or a library of his own with the same symbols; so this is for our own tests alone.
function(ferry_asio_once)
  set(source ${PROJECT_BINARY_DIR}/asio_once.cpp)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include <boost/asio/impl/src.hpp>\n#include <boost/beast/src.hpp>\n")
  if(FERRY_TLS)
    find_package(OpenSSL 3.0 REQUIRED)
    file(APPEND ${source} "#include <boost/asio/ssl/impl/src.hpp>\n")
  endif()
  add_library(ferry_asio STATIC ${source})
  ferry_flags(ferry_asio)
  target_compile_definitions(ferry_asio PUBLIC BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION)
  target_link_libraries(ferry_asio PUBLIC Boost::headers PRIVATE $<TARGET_NAME_IF_EXISTS:OpenSSL::SSL>)
endfunction()

# ferry_library(NAME FLOORS dir... [DEPENDS name...]): ferry::NAME from src/<dir>/*.cpp, without the tests beside them.
function(ferry_library name)
  cmake_parse_arguments(arg "" "" "FLOORS;DEPENDS" ${ARGN})
  set(sources)
  foreach(floor IN LISTS arg_FLOORS)
    file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${floor}/*.cpp)
    list(FILTER found EXCLUDE REGEX "_test\\.cpp$")
    list(APPEND sources ${found})
  endforeach()
  set(target ferry_${name})
  add_library(${target} STATIC ${sources})
  add_library(ferry::${name} ALIAS ${target})
  ferry_flags(${target})
  if(FERRY_FUZZ AND FERRY_SANITIZE AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)  # so that the fuzz targets see where they get
  endif()
  if(name STREQUAL "ferry")
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ferry)
    target_precompile_headers(${target} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/wet_pch.hpp)
    target_link_libraries(${target} PUBLIC Threads::Threads $<BUILD_INTERFACE:$<TARGET_NAME_IF_EXISTS:ferry_asio>>)
  elseif(name MATCHES "^(gateway|sidecar)$")
    target_precompile_headers(${target} REUSE_FROM ferry_ferry)
  endif()
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(${target}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
    PRIVATE ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target} PUBLIC Boost::headers)
  foreach(dependency IN LISTS arg_DEPENDS)
    target_link_libraries(${target} PUBLIC ferry_${dependency})
  endforeach()
  set_property(GLOBAL APPEND PROPERTY FERRY_LIBRARIES ${target})
endfunction()

# ferry_protobuf(TARGET file.proto): what protoc makes of it becomes a part of the target, which alone sees it.
function(ferry_protobuf target proto)
  set(made ${PROJECT_BINARY_DIR}/protobuf)
  file(MAKE_DIRECTORY ${made})
  cmake_path(ABSOLUTE_PATH proto BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
  cmake_path(GET proto PARENT_PATH folder)
  cmake_path(GET proto STEM name)
  add_custom_command(OUTPUT ${made}/${name}.pb.cc ${made}/${name}.pb.h DEPENDS ${proto} VERBATIM
    COMMAND protobuf::protoc --cpp_out=${made} -I${folder} ${proto})
  set_source_files_properties(${made}/${name}.pb.cc PROPERTIES COMPILE_OPTIONS -w)
  target_sources(${target} PRIVATE ${made}/${name}.pb.cc ${made}/${name}.pb.h)
  target_include_directories(${target} SYSTEM PRIVATE ${made})
  target_link_libraries(${target} PRIVATE protobuf::libprotobuf-lite)
endfunction()

# ferry_c_library(NAME FLOOR dir): ferry::NAME_c, the shared library libferry_NAME.so from src/<dir>/*.cpp, whose only
# symbols are the functions of C in src/<dir>/exports.map. The static libraries inside of it are the same as everywhere:
# all of ours are compiled as position-independent code.
function(ferry_c_library name)
  cmake_parse_arguments(arg "" "FLOOR" "" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${arg_FLOOR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
  set(target ferry_${name}_c)
  set(exports ${PROJECT_SOURCE_DIR}/src/${arg_FLOOR}/exports.map)
  add_library(${target} SHARED ${sources})
  add_library(ferry::${name}_c ALIAS ${target})
  ferry_flags(${target})
  set_property(TARGET ${target} PROPERTY INTERFACE_COMPILE_FEATURES "")  # who links to it may know C alone
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ferry_${name} EXPORT_NAME ${name}_c VERSION ${PROJECT_VERSION}
    SOVERSION 0 CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON LINK_DEPENDS ${exports})
  target_include_directories(${target}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_options(${target} PRIVATE -Wl,--version-script=${exports})
  target_link_libraries(${target} PRIVATE ferry_ferry)
endfunction()

# ferry_program(NAME SOURCES file... LINK lib... [OUTPUT name]): something that runs, not installed by itself.
function(ferry_program name)
  cmake_parse_arguments(arg "" "OUTPUT" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  ferry_flags(${name})
  if(FERRY_SANITIZE MATCHES "undefined")
    # Clang 14 cannot assemble a coroutine that carries this check's prologue.
    target_compile_options(${name} PRIVATE "$<$<CXX_COMPILER_ID:Clang>:-fno-sanitize=function>")
  endif()
  if(arg_OUTPUT)
    set_target_properties(${name} PROPERTIES OUTPUT_NAME ${arg_OUTPUT})
  endif()
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${arg_LINK})
endfunction()

# What is tested is optimised in full; the tests themselves compile in two thirds of the time with less.
function(ferry_test_flags name)
  target_compile_options(${name} PRIVATE "$<$<CONFIG:Release>:-O1>")
endfunction()

# ferry_test(NAME LABEL floor SOURCES file... LINK lib...): a GoogleTest program, each of its tests known to ctest.
# LABEL may be a list; every test is ended after 120 s unless TIMEOUT says otherwise. GROUPED: one test for each parameter
# or each suite of the program's tests, so that thousands of short ones do not each pay for a process.
function(ferry_test name)
  cmake_parse_arguments(arg "SERIAL" "TIMEOUT;GROUPED" "LABEL;SOURCES;LINK" ${ARGN})
  if(NOT arg_SOURCES)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  ferry_program(${name} SOURCES ${arg_SOURCES} LINK ${arg_LINK} GTest::gtest_main GTest::gmock)
  ferry_test_flags(${name})
  set(properties TIMEOUT ${arg_TIMEOUT})
  if(arg_SERIAL)
    list(APPEND properties RUN_SERIAL TRUE)
  endif()
  string(REGEX REPLACE "^test_" "" prefix ${name})
  if(arg_GROUPED)
    set(groups ${CMAKE_CURRENT_BINARY_DIR}/${name}_groups.cmake)
    if(NOT EXISTS ${groups})
      file(WRITE ${groups} "add_test(${prefix}_NOT_BUILT ${prefix}_NOT_BUILT)\n")
    endif()
    add_custom_command(TARGET ${name} POST_BUILD VERBATIM BYPRODUCTS ${groups}
      COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${name}> -DOUT=${groups} -DPREFIX=${prefix} "-DLABELS=${arg_LABEL}"
        -DBY=${arg_GROUPED} -DTIMEOUT=${arg_TIMEOUT} -P ${PROJECT_SOURCE_DIR}/cmake/discover_groups.cmake)
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${groups})
    return()
  endif()
  gtest_discover_tests(${name} TEST_PREFIX "${prefix}/" DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
  # gtest_discover_tests cannot hand on a property that is a list; what it found is labelled by a file read after its own.
  set(labels ${CMAKE_CURRENT_BINARY_DIR}/${name}_labels.cmake)
  file(CONFIGURE OUTPUT ${labels} @ONLY CONTENT
    "if(@name@_TESTS)\n  set_tests_properties(\${@name@_TESTS} PROPERTIES LABELS \"@arg_LABEL@\")\nendif()\n")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${labels})
endfunction()
