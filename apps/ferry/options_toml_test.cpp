#include "apps/ferry/options_toml.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <tuple>
#include <vector>

#include "testing/temp_dir.hpp"

namespace {

using ferry::errc;
using ferry::get_option;
using ferry::options;

options read(std::string_view text) {
  options target;
  const auto done = ferry::app::set_options_from_toml(target, text, "a.toml");
  EXPECT_TRUE(done) << done.error().text();
  return target;
}

TEST(options_toml, sets_options_at_the_top_and_in_the_table_channel) {
  const auto all = read(R"(
max_message = "1MiB"
no-delay = false
[channel]
idle_timeout = "30s"
reconnect_factor = 2.5
)");
  EXPECT_EQ(get_option(all, "max_message"), "1MiB");
  EXPECT_EQ(get_option(all, "no_delay"), "off");
  EXPECT_EQ(get_option(all, "idle_timeout"), "30s");
  EXPECT_EQ(get_option(all, "reconnect_factor"), "2.5");
}

TEST(options_toml, takes_every_kind_of_value) {
  const auto all = read(R"(
backlog = 7
max_message = 65536
reconnect = true
reconnect_jitter = "35%"
framing = "u32"
socket_mode = "0660"
socket_owner = "a:b"
allow_uids = [0, 1000]
)");
  EXPECT_EQ(get_option(all, "backlog"), "7");
  EXPECT_EQ(get_option(all, "max_message"), "64KiB");
  EXPECT_EQ(get_option(all, "reconnect"), "on");
  EXPECT_EQ(get_option(all, "reconnect_jitter"), "0.35");
  EXPECT_EQ(get_option(all, "framing"), "u32");
  EXPECT_EQ(get_option(all, "socket_mode"), "0660");
  EXPECT_EQ(get_option(all, "socket_owner"), "a:b");
  EXPECT_EQ(get_option(all, "allow_uids"), "0,1000");
}

TEST(options_toml, reads_back_what_the_table_writes_for_every_option) {
  std::string text = "[channel]\n";
  for (const auto& option : ferry::option_table()) {
    text += std::string(option.name) + " = \"" + option.default_text + "\"\n";
  }
  const auto all = read(text);
  for (const auto& option : ferry::option_table()) EXPECT_EQ(get_option(all, option.name), option.default_text);
}

TEST(options_toml, says_file_line_value_and_what_to_write) {
  const std::vector<std::tuple<std::string, errc, std::string>> refused{
      {"\nmax_mesage = 1", errc::unknown_option,
       "a.toml:2: unknown option 'max_mesage', did you mean 'max_message'? Known options: max_message, framing, "},
      {"backlog = 1\n[channel]\nmax_mesage = 1", errc::unknown_option, "a.toml:3: unknown option 'max_mesage', did"},
      {"[chanel]\nspin = 0", errc::unknown_option,
       "a.toml:1: unknown table [chanel], did you mean 'channel'? Options stand at the top or in [channel]"},
      {"[gateway]", errc::unknown_option,
       "a.toml:1: unknown table [gateway]; Options stand at the top or in [channel]"},
      {"[channel.deep]\nspin = 0", errc::unknown_option,
       "a.toml:1: unknown table [deep]; Options stand at the top or in [channel]"},
      {"channel = 1", errc::unknown_option, "a.toml:1: unknown option 'channel'. Known options: max_message, "},
      {"max_message = 0\nbacklog = 0", errc::bad_option, "a.toml:1: max_message=0: must be 1 .. 1GiB"},
      {"spin = '1us'\nspin = '2us'", errc::bad_option, "a.toml:2: not TOML: "},
      {"# why\nmax_message = 0", errc::bad_option, "a.toml:2: max_message=0: must be 1 .. 1GiB"},
      {"idle_timeout = 30", errc::bad_option,
       "a.toml:1: idle_timeout=30: needs a unit (ns, us, ms, s, m, h); must be 1ns .. 8760h, 0: off"},
      {"idle_timeout = 07:32:00", errc::bad_option,
       "a.toml:1: idle_timeout: must be a text, a number, true, false or a list of numbers"},
      {"allow_uids = [[1]]", errc::bad_option,
       "a.toml:1: allow_uids: must be a text, a number, true, false or a list of numbers"},
      {"spin = '1us'\n[channel]\nspin = '2us'", errc::bad_option, "a.toml:3: spin: is given twice, write it once"},
      {"no_delay = true\nno-delay = true", errc::bad_option, "a.toml:2: no_delay: is given twice, write it once"},
      {"spin = ", errc::bad_option, "a.toml:1: not TOML: "},
  };
  for (const auto& [text, code, beginning] : refused) {
    options target;
    const auto done = ferry::app::set_options_from_toml(target, text, "a.toml");
    ASSERT_FALSE(done) << text;
    EXPECT_EQ(done.error().reason(), code) << text;
    EXPECT_EQ(done.error().text().substr(0, beginning.size()), beginning);
    EXPECT_EQ(get_option(target, "spin"), "0") << "a refused text has changed an option";
  }
}

TEST(options_toml, reads_a_file_and_names_it_when_it_cannot) {
  const ferry::test::temp_dir directory;
  const auto path = directory.file("ferry.toml");
  std::ofstream(path) << "spin = \"5us\"\n";
  options target;
  ASSERT_TRUE(ferry::app::set_options_from_toml_file(target, path));
  EXPECT_EQ(get_option(target, "spin"), "5us");

  const auto missing = ferry::app::set_options_from_toml_file(target, directory.file("none.toml"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().reason(), errc::not_found);
  EXPECT_EQ(missing.error().text(), "open " + directory.file("none.toml") + ": No such file or directory");

  EXPECT_FALSE(ferry::app::set_options_from_toml_file(target, directory.path().string()));

  std::ofstream(path) << std::string((1 << 20) + 1, '\n');
  const auto large = ferry::app::set_options_from_toml_file(target, path);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().text(), path + ": larger than 1 MiB, which no file of options is");
}

}  // namespace
