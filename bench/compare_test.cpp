#include "bench/compare.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace ferry::bench {
namespace {

namespace json = boost::json;

/// A directory of its own, removed with everything in it.
class scratch {
 public:
  scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "compare-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~scratch() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string file(const std::string& name, const std::string& text) const {
    const auto path = path_ / name;
    std::ofstream(path) << text;
    return path.string();
  }

 private:
  std::filesystem::path path_;
};

comparison of(const char* a, const char* b) { return compare(json::parse(a), json::parse(b)).value(); }

TEST(compare, takes_medians_and_spreads_over_repeated_runs) {
  const auto found = of(R"([{"rtt_ns":{"p50":100}},{"rtt_ns":{"p50":120}},{"rtt_ns":{"p50":104}}])",
                        R"([{"rtt_ns":{"p50":208}},{"rtt_ns":{"p50":200}},{"rtt_ns":{"p50":230}}])");
  ASSERT_EQ(found.figures.size(), 1u);
  const auto& one = found.figures[0];
  EXPECT_EQ(one.key, "rtt_ns.p50");
  EXPECT_EQ(one.a.runs, 3u);
  EXPECT_EQ(one.a.median, 104);
  EXPECT_EQ(one.a.min, 100);
  EXPECT_EQ(one.a.max, 120);
  EXPECT_EQ(one.ratio, 2);
  EXPECT_EQ(one.outcome, verdict::worse);
}

TEST(compare, calls_overlapping_spreads_noise_also_when_they_only_touch) {
  EXPECT_EQ(of(R"([{"x_ns":1},{"x_ns":3}])", R"([{"x_ns":3},{"x_ns":9}])").figures[0].outcome, verdict::noise);
  EXPECT_EQ(of(R"([{"x_ns":3},{"x_ns":9}])", R"([{"x_ns":1},{"x_ns":3}])").figures[0].outcome, verdict::noise);
  EXPECT_EQ(of(R"([{"x_ns":1},{"x_ns":3}])", R"([{"x_ns":4},{"x_ns":9}])").figures[0].outcome, verdict::worse);
}

TEST(compare, knows_which_way_is_better_by_the_name) {
  const auto outcome = [](const std::string& key) {
    const auto run = [&](const char* value) { return "{\"" + key + "\":" + value + "}"; };
    return of(("[" + run("1") + "," + run("2") + "]").c_str(), ("[" + run("5") + "," + run("6") + "]").c_str())
        .figures[0]
        .outcome;
  };
  EXPECT_EQ(outcome("messages_per_second"), verdict::better);
  EXPECT_EQ(outcome("bytes_per_second"), verdict::better);
  EXPECT_EQ(outcome("cpu_ns_per_echo"), verdict::worse);
  EXPECT_EQ(outcome("syscalls_per_message"), verdict::worse);
  EXPECT_EQ(outcome("lost"), verdict::worse);
  EXPECT_EQ(outcome("messages"), verdict::differs);
}

TEST(compare, says_nothing_about_the_noise_of_single_runs) {
  EXPECT_EQ(of(R"({"x_ns":1})", R"({"x_ns":5})").figures[0].outcome, verdict::unknown);
  EXPECT_EQ(of(R"({"x_ns":5})", R"({"x_ns":5})").figures[0].outcome, verdict::same);
}

TEST(compare, uses_the_spread_that_a_result_carries) {
  const auto found = of(R"({"x_ns":10,"x_ns_min":8,"x_ns_max":12})", R"({"x_ns":20,"x_ns_min":18,"x_ns_max":22})");
  ASSERT_EQ(found.figures.size(), 1u);
  EXPECT_EQ(found.figures[0].a.max, 12);
  EXPECT_EQ(found.figures[0].outcome, verdict::worse);
}

TEST(compare, tells_entries_of_a_list_apart_by_their_settings_not_their_place) {
  const auto found = of(R"({"raw":[{"size":64,"bytes_per_second":1},{"size":1024,"bytes_per_second":2}]})",
                        R"({"raw":[{"size":1024,"bytes_per_second":4},{"size":64,"bytes_per_second":3}]})");
  ASSERT_EQ(found.figures.size(), 2u);
  EXPECT_EQ(found.figures[0].key, "raw[size=64].bytes_per_second");
  EXPECT_EQ(found.figures[0].ratio, 3);
  EXPECT_EQ(found.figures[1].ratio, 2);
}

TEST(compare, lists_what_only_one_side_has) {
  const auto found = of(R"({"both":1,"old":1})", R"({"both":1,"new":1})");
  EXPECT_EQ(found.only_a, std::vector<std::string>{"old"});
  EXPECT_EQ(found.only_b, std::vector<std::string>{"new"});
}

TEST(compare, refuses_what_is_no_result) {
  const auto refused = [](const char* a, const char* b) {
    const auto found = compare(json::parse(a), json::parse(b));
    return !found && found.error() == errc::misuse;
  };
  EXPECT_TRUE(refused("[]", R"({"x":1})"));
  EXPECT_TRUE(refused("7", R"({"x":1})"));
  EXPECT_TRUE(refused(R"({"x":1})", "[7]"));
  EXPECT_TRUE(refused(R"({"x":1})", R"({"y":1})"));
}

TEST(compare, reads_an_object_an_array_and_objects_one_after_another) {
  const scratch files;
  for (const auto* text : {R"({"x":1})", R"([{"x":1}])", "{\"x\":1}\n"})
    EXPECT_EQ(read_results(files.file("a", text)).value().size(), 1u) << text;
  for (const auto* text : {R"([{"x":1},{"x":2}])", "{\"x\":1}\n{\"x\":2}\n", R"({"x":1}{"x":2})"})
    EXPECT_EQ(read_results(files.file("a", text)).value().size(), 2u) << text;
}

TEST(compare, names_the_file_and_the_place_that_cannot_be_read) {
  const scratch files;
  for (const auto* text : {"", "  \n", "{\"x\":1", "{\"x\":1} nonsense"}) {
    const auto path = files.file("bad.json", text);
    const auto found = read_results(path);
    ASSERT_FALSE(found) << text;
    EXPECT_EQ(found.error().reason(), errc::corrupt) << text;
    EXPECT_NE(found.error().text().find(path), std::string::npos);
  }
  const auto found = compare_files(files.file("a.json", R"({"x":1})"), "/nowhere/b.json");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().reason(), errc::not_found);
}

TEST(compare, prints_both_sides_in_units_and_the_verdict) {
  const auto found = of(R"([{"rtt_ns":{"p50":2500}},{"rtt_ns":{"p50":2700}}])",
                        R"([{"rtt_ns":{"p50":1300}},{"rtt_ns":{"p50":1300}}])");
  EXPECT_EQ(to_table(found, "old", "new"),
            "figure          old              spread      new              spread  ratio\n"
            "rtt_ns.p50  2.60 us  2.50 us .. 2.70 us  1.30 us  1.30 us .. 1.30 us  0.500  better\n");
  const auto value = to_json(found);
  EXPECT_EQ(value.at("figures").at(0).at("outcome").as_string(), "better");
  EXPECT_EQ(value.at("figures").at(0).at("b").at("median").to_number<double>(), 1300);
}

}  // namespace
}  // namespace ferry::bench
