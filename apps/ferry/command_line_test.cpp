// What the program says about a command line: to the letter, because that is all that its user sees.
#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "apps/ferry/program_under_test.hpp"

namespace {

using namespace ferry::app::test;

TEST(command_line, prints_the_version) {
  const auto got = run_ferry({"--version"});
  EXPECT_EQ(got.status, 0);
  EXPECT_TRUE(got.out.starts_with("ferry ")) << got.out;
  EXPECT_EQ(got.err, "");
}

TEST(command_line, has_help_with_examples_for_the_program_and_each_command) {
  EXPECT_NE(run_ferry({"--help"}).out.find("Examples:\n  ferry listen "), std::string::npos);
  for (const std::string command : {"listen", "send", "connect", "bridge", "session"}) {
    const auto got = run_ferry({command, "--help"});
    EXPECT_EQ(got.status, 0);
    EXPECT_EQ(got.err, "");
    EXPECT_NE(got.out.find("Examples:\n  ferry " + command + " "), std::string::npos) << got.out;
  }
}

TEST(command_line, refuses_what_it_does_not_understand_and_says_what_was_meant) {
  const std::vector<std::tuple<arguments, std::string, std::string>> refused{
      {{"x"}, "unknown command 'x'. Known commands: listen, ", "ferry"},
      {{"listen", "inproc://a"},
       "inproc://a: inproc stays in one process, and nobody else reaches it; write ipc://@NAME\n",
       "ferry listen"},
      {{"lisen"}, "unknown command 'lisen', did you mean 'listen'? Known commands: ", "ferry"},
      {{"sendd", "ipc://@a"}, "unknown command 'sendd', did you mean 'send'? Known commands: ", "ferry"},
      {{"--verson"}, "unknown option '--verson', did you mean '--version'?\n", "ferry"},
      {{"listen", "ipc://@a", "--ecoh"}, "unknown option '--ecoh', did you mean '--echo'?\n", "ferry listen"},
      {{"listen", "ipc://@a", "--cuont=3"}, "unknown option '--cuont=3', did you mean '--count'?\n", "ferry listen"},
      {{"listen", "ipc://@a", "--output", "lnes"},
       "--output lnes: must be one of lines, raw, json, none, did you mean 'lines'?\n",
       "ferry listen"},
      {{"listen", "ipc://@a", "--stat"}, "unknown option '--stat', did you mean '--stats'?\n", "ferry listen"},
      {{"listen", "ipc://@a", "--count", "0"},
       "--count 0: must be a whole number (1000, 10k) of at least 1\n",
       "ferry listen"},
      {{"listen", "ipc://@a", "--count", "few"}, "--count few: must be a whole number (1000, 10k)\n", "ferry listen"},
      {{"listen", "ipc://@a", "--log", "wrn"},
       "--log wrn: must be one of error, warn, info, debug, trace, did you mean 'warn'?\n",
       "ferry listen"},
      {{"listen", "ipc://@a", "ipc://@b"}, "'ipc://@b' is one word too many\n", "ferry listen"},
      {{"listen"}, "URL is required\n", "ferry listen"},
      {{"send", "ipc://@a", "--mesage", "x"}, "unknown option '--mesage', did you mean '--message'?\n", "ferry send"},
      {{"send", "ipc://@a", "--fiel", "x"}, "unknown option '--fiel', did you mean '--file'?\n", "ferry send"},
      {{"send", "ipc://@a", "--split", "lins"},
       "--split lins: must be lines, whole or a size in bytes of at most 1GiB, did you mean 'lines'?\n",
       "ferry send"},
      {{"send", "ipc://@a", "--split", "0"},
       "--split 0: must be lines, whole or a size in bytes of at most 1GiB\n",
       "ferry send"},
      {{"send", "ipc://@a", "--spilt", "whole"}, "unknown option '--spilt', did you mean '--split'?\n", "ferry send"},
      {{"send", "ipc://@a", "--size", "big"},
       "--size big: must be a size in bytes (65536, 64KiB, 1MiB)\n",
       "ferry send"},
      {{"send", "ipc://@a", "--size", "2GiB"},
       "--size 2GiB: must be a size in bytes (65536, 64KiB, 1MiB) of at most 1GiB\n",
       "ferry send"},
      {{"send", "ipc://@a", "--sise", "1"}, "unknown option '--sise', did you mean '--size'?\n", "ferry send"},
      {{"send", "ipc://@a", "--rate", "0"},
       "--rate 0: must be a whole number (1000, 10k) of at least 1\n",
       "ferry send"},
      {{"send", "ipc://@a", "--rat", "1"}, "unknown option '--rat', did you mean '--rate'?\n", "ferry send"},
      {{"send", "ipc://@a", "--wait", "5"},
       "--wait 5: must be a duration (500ms, 10s, 1m), or 0 for ever\n",
       "ferry send"},
      {{"send", "ipc://@a", "--expect-ehco"},
       "unknown option '--expect-ehco', did you mean '--expect-echo'?\n",
       "ferry send"},
      {{"send", "ipc://@a", "--cofnig", "a"}, "unknown option '--cofnig', did you mean '--config'?\n", "ferry send"},
      {{"connect", "ipc://@a", "--ouptut", "raw"},
       "unknown option '--ouptut', did you mean '--output'?\n",
       "ferry connect"},
      {{"bridge", "ipc://@a"}, "URL2 is required\n", "ferry bridge"},
      {{"bridge", "ipc://@a", "ipc://@b", "--lsten"},
       "unknown option '--lsten', did you mean '--listen'?\n",
       "ferry bridge"},
  };
  for (const auto& [words, text, command] : refused) {
    const auto got = run_ferry(words);
    EXPECT_EQ(got.status, 2) << text;
    EXPECT_EQ(got.out, "");
    EXPECT_EQ(got.err.substr(0, 7 + text.size()), "ferry: " + text);
    EXPECT_TRUE(got.err.ends_with("\nferry: see '" + command + " --help'\n")) << got.err;
  }
}

TEST(command_line, asks_for_a_command_and_lists_them) {
  const auto bench = run_ferry({"bench"});
  EXPECT_EQ(bench.status, 2);
  EXPECT_TRUE(bench.err.starts_with("ferry: a command is needed: rtt, oneway, serve")) << bench.err;
  const auto got = run_ferry({});
  EXPECT_EQ(got.status, 2);
  EXPECT_TRUE(got.err.starts_with("ferry: a command is needed: listen, send, connect, bridge")) << got.err;
}

TEST(command_line, refuses_urls_and_options_with_what_to_write_instead) {
  const std::vector<std::pair<arguments, std::string>> refused{
      {{"listen", "tpc://localhost:1"}, "ferry: unknown scheme 'tpc', did you mean 'tcp'? "},
      {{"send", "ipc://@a?max_mesage=1"}, "ferry: unknown option 'max_mesage', did you mean 'max_message'? "},
      {{"connect", "ipc://@a", "-o", "spin=5"}, "ferry: -o: spin=5: needs a unit "},
      {{"bridge", "ipc://@a", "tcp://nowhere"}, "ferry: "},
      {{"bridge", "--listen", "ipc://@a", "tpc://x"}, "ferry: unknown scheme 'tpc', did you mean 'tcp'? "},
      {{"send", "ipc://@a", "--file", "/nowhere/x"}, "ferry: --file: open /nowhere/x: No such file or directory\n"},
      {{"send", "ipc://@a", "--file", "/tmp"}, "ferry: --file: /tmp is a directory; name a file\n"},
  };
  for (const auto& [words, text] : refused) {
    const auto got = run_ferry(words);
    EXPECT_EQ(got.status, 2) << text;
    EXPECT_EQ(got.err.substr(0, text.size()), text);
  }
}

}  // namespace
