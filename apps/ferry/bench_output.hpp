#pragma once
/// Results of benchmarks for programs and for people.

#include <boost/json/fwd.hpp>
#include <string>
#include <vector>

#include "apps/ferry/bench_run.hpp"

namespace ferry::app {

/// One run as one object; docs/performance.md explains the keys.
[[nodiscard]] boost::json::object to_json(const bench_plan& plan, const bench_result& run, const bench::machine& host);
/// One object, or for repeated runs an array of them, which `ferry bench compare` takes as such.
[[nodiscard]] boost::json::value to_json(const bench_plan& plan, const std::vector<bench_result>& runs,
                                         const bench::machine& host);
/// Lines of text: the machine, then each figure as its median and, for repeated runs, its spread.
[[nodiscard]] std::string to_table(const bench_plan& plan, const std::vector<bench_result>& runs,
                                   const bench::machine& host);

/// {cpu, cores, kernel, compiler, load_average}
[[nodiscard]] boost::json::object to_json(const bench::machine& host);
/// "GCC 12.2.0"
[[nodiscard]] std::string compiler();

}  // namespace ferry::app
