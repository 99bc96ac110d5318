#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "testing/child.hpp"
#include "testing/temp_dir.hpp"

namespace {

using ferry::test::child;
using ferry::test::child_options;

child_options in(const ferry::test::temp_dir& directory) {
  child_options options;
  options.environment.push_back("TMPDIR=" + directory.path().string());
  return options;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool is_empty(const ferry::test::temp_dir& directory) { return std::filesystem::is_empty(directory.path()); }

TEST(demo, moves_every_line_of_a_file_through_every_transport_and_cleans_up) {
  const ferry::test::temp_dir directory;
  const ferry::test::temp_dir own;
  const auto path = own.file("lines");
  std::ofstream(path) << "one\n\nthree\n" << std::string(400'000, 'x') << "\nthe last one has no newline";
  child demo({FERRY_PROGRAM_PATH, "demo", "--file", path}, in(directory));
  EXPECT_EQ(demo.finish(), 0) << demo.error_output();
  const auto lines = lines_of(demo.output());
  ASSERT_GE(lines.size(), 8u) << demo.output();
  EXPECT_NE(lines[0].find("5 lines"), std::string::npos) << lines[0];
  for (const char* scheme : {"inproc", "shm", "ipc", "tcp", "tls", "ws", "wss", "ws+ipc", "ws+raw", "wss+raw",
                             "shm-persistent", "tcp-persistent"}) {
    bool found = false;
    for (const auto& line : lines) {
      std::istringstream words(line);
      std::string name, messages;
      words >> name >> messages;
      if (name != scheme) continue;
      found = true;
      EXPECT_EQ(messages, "5") << line;
      EXPECT_TRUE(line.ends_with("  0           0  equal")) << line;
    }
    EXPECT_TRUE(found) << scheme << "\n" << demo.output();
  }
  EXPECT_TRUE(is_empty(directory));
}

TEST(demo, makes_a_text_of_the_size_asked_for) {
  const ferry::test::temp_dir directory;
  child demo({FERRY_PROGRAM_PATH, "demo", "--size", "1"}, in(directory));
  EXPECT_EQ(demo.finish(), 0) << demo.error_output();
  const auto lines = lines_of(demo.output());
  ASSERT_FALSE(lines.empty());
  EXPECT_EQ(lines[0].find("The lines of a text made from files of this machine (1."), 0u) << lines[0];
  EXPECT_TRUE(is_empty(directory));
}

TEST(demo, leaves_nothing_behind_when_it_is_interrupted) {
  const ferry::test::temp_dir directory;
  // Far more than it moves in the time until the signal; what is told first comes before the first transport.
  child demo({FERRY_PROGRAM_PATH, "demo", "--size", "60"}, in(directory));
  ASSERT_TRUE(demo.read_line());
  demo.kill(SIGINT);
  EXPECT_EQ(demo.finish(), 128 + SIGINT);
  EXPECT_EQ(demo.error_output(), "ferry: interrupted; nothing is left behind\n");
  EXPECT_TRUE(is_empty(directory));
}

TEST(demo, says_which_file_it_cannot_use) {
  const ferry::test::temp_dir directory;
  const ferry::test::temp_dir own;
  const auto empty = own.file("empty");
  std::ofstream(empty).flush();
  const auto path = own.file("long");
  std::ofstream(path) << "short\n" << std::string((10u << 20) + 1, 'x') << "\n";
  const std::vector<std::pair<std::string, std::string>> refused{
      {own.file("none"), "No such file"},
      {own.path().string(), "is not a regular file"},
      {empty, "has no line"},
      {path, "line 2 has 10485761 bytes, and a message may have 10485760"},
  };
  for (const auto& [file, said] : refused) {
    child demo({FERRY_PROGRAM_PATH, "demo", "--file", file}, in(directory));
    EXPECT_EQ(demo.finish(), 2) << file;
    EXPECT_TRUE(demo.error_output().starts_with("ferry: --file: ")) << demo.error_output();
    EXPECT_NE(demo.error_output().find(said), std::string::npos) << demo.error_output();
    EXPECT_TRUE(is_empty(directory));
  }
}

}  // namespace
