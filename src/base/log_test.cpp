#include <ferry/log.hpp>

#include <gtest/gtest.h>

#include <new>
#include <string>
#include <vector>

namespace ferry {
namespace {

class recording_sink final : public log_sink {
 public:
  void write(log_level level, std::string_view component, std::string_view text) noexcept override {
    lines.push_back(std::string(to_string(level)) + ' ' + std::string(component) + ": " + std::string(text));
  }
  std::vector<std::string> lines;
};

TEST(logger, writes_what_is_at_least_as_important_as_its_threshold) {
  recording_sink sink;
  const logger log(&sink, log_level::info, "listener");
  log.write(log_level::error, "a");
  log.write(log_level::warn, "b");
  log.write(log_level::info, "c");
  log.write(log_level::debug, "d");
  log.write(log_level::trace, "e");
  EXPECT_EQ(sink.lines, (std::vector<std::string>{"error listener: a", "warn listener: b", "info listener: c"}));
}

TEST(logger, builds_a_text_only_if_it_is_written) {
  recording_sink sink;
  const logger log(&sink, log_level::warn, "channel");
  int built = 0;
  const auto build = [&built] { return "built " + std::to_string(++built); };
  log.write(log_level::info, build);
  EXPECT_EQ(built, 0);
  log.write(log_level::warn, build);
  EXPECT_EQ(sink.lines, std::vector<std::string>{"warn channel: built 1"});
}

TEST(logger, without_a_sink_is_never_enabled) {
  const logger log;
  for (const auto level : {log_level::error, log_level::trace}) EXPECT_FALSE(log.enabled(level));
  bool built = false;
  log.write(log_level::error, [&built] {
    built = true;
    return std::string();
  });
  EXPECT_FALSE(built);
  log.write(log_level::error, "nobody hears");
}

TEST(logger, says_so_when_a_text_cannot_be_built) {
  recording_sink sink;
  const logger log(&sink, log_level::trace, "channel");
  log.write(log_level::error, []() -> std::string { throw std::bad_alloc(); });
  EXPECT_EQ(sink.lines, std::vector<std::string>{"error channel: (the text of this line could not be built)"});
}

TEST(logger, lends_its_sink_to_another_component) {
  recording_sink sink;
  const logger log(&sink, log_level::debug, "listener");
  log.named("channel").write(log_level::debug, "hello");
  EXPECT_EQ(sink.lines, std::vector<std::string>{"debug channel: hello"});
}

}  // namespace
}  // namespace ferry
