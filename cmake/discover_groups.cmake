# Writes OUT, which tells ctest of PROGRAM's tests as groups, each run by one process:
#   BY=parameter  those of one parameter, the part of their names after the last slash, are PREFIX/parameter; those without
#                 a parameter are PREFIX/others
#   BY=suite      those of one suite are PREFIX/suite
# Arguments: PROGRAM OUT PREFIX LABELS BY TIMEOUT (seconds for each group).
execute_process(COMMAND ${PROGRAM} --gtest_list_tests OUTPUT_VARIABLE listed COMMAND_ERROR_IS_FATAL ANY)
set(text "")
function(group name filter)
  string(APPEND text
    "add_test([=[${PREFIX}/${name}]=] \"${PROGRAM}\" \"--gtest_filter=${filter}\" --gtest_brief=1)\n"
    "set_tests_properties([=[${PREFIX}/${name}]=] PROPERTIES TIMEOUT ${TIMEOUT} LABELS \"${LABELS}\")\n")
  set(text "${text}" PARENT_SCOPE)
endfunction()
if(BY STREQUAL "suite")
  string(REGEX MATCHALL "\n[A-Za-z0-9_/]+\\." suites "${listed}")
  foreach(suite IN LISTS suites)
    string(REGEX REPLACE "[\n.]" "" suite "${suite}")
    group(${suite} "${suite}.*")
  endforeach()
else()
  string(REGEX MATCHALL "\n  [A-Za-z0-9_]+/[A-Za-z0-9_]+" found "${listed}")
  list(TRANSFORM found REPLACE ".*/" "")
  list(REMOVE_DUPLICATES found)
  foreach(parameter IN LISTS found)
    group(${parameter} "*/${parameter}")
  endforeach()
  group(others "*-*/*.*/*")
endif()
file(WRITE ${OUT} "${text}")
