#include <cstdint>
#include <utility>

#include "apps/ferry/demo_services.hpp"
#include "apps/ferry/program_under_test.hpp"

namespace {

using namespace ferry::app;
using namespace ferry::app::test;

constexpr std::uint64_t k_max_line = 10u << 20;

// How many lines each of the two instances has answered, as the sentence below the table says.
std::pair<std::uint64_t, std::uint64_t> answered(const std::string& about) {
  const auto number_behind = [&](const std::string& words) {
    const auto at = about.find(words);
    return at == about.npos ? 0 : std::stoull("0" + about.substr(at + words.size(), 20));
  };
  return {number_behind("the first instance of the other one answered "),
          number_behind("took its place and answered ")};
}

TEST(demo_of_services, loses_nothing_while_an_instance_is_replaced) {
  const ferry::test::temp_dir dir;
  const auto path = dir.file("lines");
  write_file(path, numbered_lines(300'000));
  const auto text = demo_text::open(path, k_max_line);
  ASSERT_TRUE(text) << text.error().text();
  const auto row = run_services_demo_row(*text, dir.path().string());
  ASSERT_TRUE(row);
  EXPECT_TRUE(row->perfect(*text)) << row->failure;
  EXPECT_EQ(row->figures.back, text->lines());
  const auto [first, second] = answered(row->about);
  EXPECT_GE(first, text->lines() / 2) << row->about;
  EXPECT_GE(second, 1u) << row->about;
  EXPECT_EQ(first + second, text->lines()) << row->about;
}

TEST(demo_of_services, has_the_second_instance_answer_a_single_line) {
  const ferry::test::temp_dir dir;
  const auto path = dir.file("line");
  write_file(path, "one line\n");
  const auto text = demo_text::open(path, k_max_line);
  ASSERT_TRUE(text) << text.error().text();
  const auto row = run_services_demo_row(*text, dir.path().string());
  ASSERT_TRUE(row);
  EXPECT_TRUE(row->perfect(*text)) << row->failure;
  EXPECT_EQ(answered(row->about), (std::pair<std::uint64_t, std::uint64_t>{0, 1})) << row->about;
}

}  // namespace
