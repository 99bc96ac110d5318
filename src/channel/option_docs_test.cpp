#include "channel/option_docs.hpp"

#include <ferry/options.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace {

const std::filesystem::path k_page = std::filesystem::path(FERRY_SOURCE_DIR) / "docs" / "options.md";

TEST(option_docs, are_what_the_table_says) {
  if (const char* update = std::getenv("FERRY_UPDATE_DOCS"); update && std::string(update) == "1") {
    std::ofstream(k_page) << ferry::options_markdown();
  }
  std::ostringstream page;
  page << std::ifstream(k_page).rdbuf();
  EXPECT_EQ(page.str(), ferry::options_markdown())
      << k_page << " is not what the table of options says; FERRY_UPDATE_DOCS=1 in the environment of this test "
      << "writes it anew";
}

TEST(option_docs, name_every_option_with_its_default_and_range) {
  const auto page = ferry::options_markdown();
  for (const auto& option : ferry::option_table()) {
    const auto start = page.find("| `" + std::string(option.name) + "` |");
    ASSERT_NE(start, page.npos) << option.name;
    const auto row = page.substr(start, page.find('\n', start) - start);
    EXPECT_NE(row.find(option.values), row.npos) << row;
    EXPECT_NE(row.find(option.help), row.npos) << row;
    const auto default_cell = option.default_text.empty() ? "| empty |" : "| `" + option.default_text + "` |";
    EXPECT_NE(row.find(default_cell), row.npos) << row;
  }
}

}  // namespace
