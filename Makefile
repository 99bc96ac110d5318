# The front door; the build itself is CMake's (see CMakePresets.json).
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test measure soak coverage format clean

JOBS ?= $(shell nproc)
TEST_JOBS ?= 2
export NINJA_STATUS := [%f/%t %es]$(empty) $(empty)
SOAK_SECONDS ?= 600
SOAK_REPEATS ?= 50
CRASH_FACTOR ?= 40
BUILD := cmake --build --parallel $(JOBS) --preset
say = @printf '\n\033[1m%s\033[0m\n' "$(1)"

help:
	@echo "make demo      build the program and move the lines of a large text through every transport"
	@echo "make test      build and run every test;  FILTER=<regex on the name>  LABEL=<floor>"
	@echo "make measure   every figure of docs/performance.md, a quarter of an hour on a quiet machine;  QUICK=1"
	@echo "make soak      run each fuzz target $(SOAK_SECONDS) s, the threaded tests over and over, and thousands of kills;  SOAK_SECONDS=<n>  SOAK_REPEATS=<n>  CRASH_FACTOR=<n>"
	@echo "make coverage  run the tests instrumented, report in build/coverage/report/index.html"
	@echo "make format    lay out every C++ file"
	@echo "make clean     remove build/"
	@echo
	@echo "Missing Debian packages are listed, and installed as root or with sudo after asking: scripts/setup.sh"

# The program alone needs neither the tests' packages nor the time to build them; a build tree that has them keeps them.
demo:
	@scripts/setup.sh build
	$(call say,Building the program)
	@cmake --preset release >/dev/null \
	  $$([[ -f build/release/CMakeCache.txt ]] || echo -DFERRY_TESTS=OFF -DFERRY_EXAMPLES=OFF -DFERRY_FUZZ=OFF)
	@$(BUILD) release --target ferry_program
	$(call say,build/release/ferry demo)
	@build/release/ferry demo

test:
	@scripts/setup.sh test
	$(call say,Building everything)
	@cmake --preset release -DFERRY_TESTS=ON -DFERRY_EXAMPLES=ON -DFERRY_FUZZ=ON >/dev/null
	@$(BUILD) release
	$(call say,Running the tests)
	@ctest --test-dir build/release --output-on-failure --parallel $(TEST_JOBS) \
	  $(if $(FILTER),-R '$(FILTER)') $(if $(LABEL),-L '$(LABEL)')

measure:
	@scripts/setup.sh test
	$(call say,Building the program)
	@cmake --preset release >/dev/null
	@$(BUILD) release --target ferry_program
	$(call say,Measuring)
	@scripts/measure.py $(if $(QUICK),--quick)

soak:
	@scripts/setup.sh ci
	$(call say,Building the fuzz targets and the threaded tests)
	@cmake --preset fuzz >/dev/null && $(BUILD) fuzz
	@cmake --preset tsan >/dev/null && $(BUILD) tsan --target threaded_tests
	$(call say,Threaded tests under ThreadSanitizer: each $(SOAK_REPEATS) times)
	@ctest --test-dir build/tsan -L threads --output-on-failure --parallel $(TEST_JOBS) --repeat until-fail:$(SOAK_REPEATS)
	$(call say,Crash tests with $(CRASH_FACTOR) times as many kills)
	@cmake --preset release -DFERRY_TESTS=ON >/dev/null && $(BUILD) release --target test_crash test_apps
	@FERRY_CRASH_FACTOR=$(CRASH_FACTOR) build/release/tests/crash/test_crash --gtest_output=json:build/release/crash.json
	@FERRY_CRASH_FACTOR=$(CRASH_FACTOR) build/release/tests/test_apps --gtest_filter='*copied_file.*kills*' \
	  --gtest_output=json:build/release/copied.json
	$(call say,What the crash tests did)
	@scripts/crash_figures.py build/release/crash.json
	@scripts/crash_figures.py build/release/copied.json
	$(call say,Each fuzz target for $(SOAK_SECONDS) s)
	@scripts/fuzz.sh $(SOAK_SECONDS)

coverage:
	@scripts/setup.sh ci
	@cmake --preset coverage -DFERRY_FUZZ=OFF >/dev/null
	@$(BUILD) coverage
	@find build/coverage -name '*.gcda' -delete
	@ctest --test-dir build/coverage --output-on-failure --parallel $(TEST_JOBS) -LE 'package|architecture'
	@mkdir -p build/coverage/report
	@gcovr --root . --object-directory build/coverage --filter 'src/' --filter 'include/' --exclude '.*_test\.cpp' \
	  --exclude-throw-branches --print-summary --html-details build/coverage/report/index.html --sort-uncovered | tail -n 4
	@echo "Report: build/coverage/report/index.html"

format:
	@scripts/setup.sh ci
	@scripts/format.sh fix

clean:
	rm -rf build
