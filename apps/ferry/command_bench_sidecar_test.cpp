#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>

#include "bench/limits.hpp"
#include "testing/child.hpp"
#include "testing/temp_dir.hpp"

namespace {

TEST(bench_sidecar, holds_services_against_rings_without_a_sidecar) {
  if (!ferry::bench::two_cores()) GTEST_SKIP() << "wants two cores";
  const ferry::test::temp_dir directory;
  const auto runtime = "runtime_dir=" + directory.path().string();
  ferry::test::child program({FERRY_PROGRAM_PATH, "bench", "sidecar", "--quick", "--only", "round_trip", "--only",
                              "route_change", "-o", runtime, "--json"});
  EXPECT_EQ(program.finish(), 0) << program.error_output();
  boost::system::error_code wrong;
  const auto found = boost::json::parse(program.output(), wrong);
  ASSERT_FALSE(wrong) << program.output();
  const auto& figures = found.as_object().at("figures").as_object();
  EXPECT_EQ(figures.size(), 2u);
  for (const auto& [name, figure] : figures) EXPECT_GT(figure.as_object().at("value").to_number<double>(), 0) << name;
  EXPECT_TRUE(std::filesystem::is_empty(directory.path())) << "something was left behind";
}

}  // namespace
