# Writes OUT, which tells ctest of PROGRAM's tests: those of one parameter, the part of their names after the last slash,
# are one test PREFIX/parameter, run by one process; those without a parameter are PREFIX/others.
# Arguments: PROGRAM OUT PREFIX LABELS TIMEOUT (seconds for each group).
execute_process(COMMAND ${PROGRAM} --gtest_list_tests OUTPUT_VARIABLE listed COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\n  [A-Za-z0-9_]+/[A-Za-z0-9_]+" found "${listed}")
list(TRANSFORM found REPLACE ".*/" "")
list(REMOVE_DUPLICATES found)
set(text "")
function(group name filter)
  string(APPEND text
    "add_test([=[${PREFIX}/${name}]=] \"${PROGRAM}\" \"--gtest_filter=${filter}\" --gtest_brief=1)\n"
    "set_tests_properties([=[${PREFIX}/${name}]=] PROPERTIES TIMEOUT ${TIMEOUT} LABELS \"${LABELS}\")\n")
  set(text "${text}" PARENT_SCOPE)
endfunction()
foreach(parameter IN LISTS found)
  group(${parameter} "*/${parameter}")
endforeach()
group(others "*-*/*.*/*")
file(WRITE ${OUT} "${text}")
