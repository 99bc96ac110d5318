// A file to a file, through a session, exactly once.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "apps/ferry/program_under_test.hpp"
#include "tests/crash/rounds.hpp"

namespace {

using namespace ferry::app::test;

class copied_file : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { ::setenv("RUNTIME_DIRECTORY", directory_.path().c_str(), 1); }
  void TearDown() override { ::unsetenv("RUNTIME_DIRECTORY"); }

  [[nodiscard]] std::string file(const std::string& name) const { return directory_.file(name); }
  /// Where to listen; later starts listen where the first one did.
  [[nodiscard]] std::string where() const {
    if (!where_.empty()) return where_;
    const std::string scheme = GetParam();
    if (scheme == "shm") return "shm://copy";
    return scheme == "ipc" ? "ipc://" + file("socket") : "tcp://127.0.0.1:0";
  }
  [[nodiscard]] std::string side(const std::string& name, const std::string& more = "") const {
    return where() + "?session=persistent&ring_bytes=2MiB&as=" + name + "&dir=" + file("state-" + name) + more;
  }
  [[nodiscard]] arguments listen_words(const std::string& more = "") const {
    return {"listen", side("archive", more), "--output", "lines", "--append", file("copy")};
  }
  [[nodiscard]] arguments send_words(const std::string& more = "", const std::string& as = "web") const {
    return {"send",       side(as, more + "&reconnect_base=5ms&reconnect_max=20ms"),
            "--file",     file("text"),
            "--split",    "lines",
            "--continue", "--wait",
            "0"};
  }
  [[nodiscard]] std::unique_ptr<listening_program> listen(const std::string& more = "") {
    for (const auto* name : {"archive", "web", "other"})
      std::filesystem::create_directory(file(std::string("state-") + name));
    auto program = std::make_unique<listening_program>(ferry_call(listen_words(more)));
    where_ = program->url().substr(0, program->url().find('?'));
    return program;
  }
  void write(const std::string& text) const { write_file(file("text"), text); }
  [[nodiscard]] std::string copy() const { return content_of(file("copy")); }
  [[nodiscard]] std::uint64_t copied() const {
    std::error_code none;
    const auto size = std::filesystem::file_size(file("copy"), none);
    return none ? 0 : size;
  }

 private:
  ferry::test::temp_dir directory_;
  std::string where_;
};

INSTANTIATE_TEST_SUITE_P(over, copied_file, ::testing::Values("shm", "ipc", "tcp"),
                         [](const auto& it) { return it.param; });

TEST_P(copied_file, is_the_same_when_the_sender_says_so_and_goes_on_where_it_was) {
  const auto listener = listen();
  std::string text = numbered_lines(5'000'000);
  for (const std::string more : {"", "", "\n", "a line\nand a part", " of another\n"}) {
    text += more;
    write(text);
    const auto sent = run_ferry(send_words());
    EXPECT_EQ(sent.status, 0);
    EXPECT_EQ(sent.err, "");
    ASSERT_TRUE(copy() == text) << "after '" << more << "'";
  }
  EXPECT_EQ(listener->stop().status, 0);
}

TEST_P(copied_file, is_the_same_with_durable_disk) {
  const auto listener = listen("&durable=disk");
  const auto text = numbered_lines(1'000'000);
  write(text);
  EXPECT_EQ(run_ferry(send_words("&durable=disk")).status, 0);
  EXPECT_TRUE(copy() == text);
  EXPECT_EQ(listener->stop().status, 0);
}

TEST_P(copied_file, may_be_cut_otherwise_than_in_lines) {
  const auto listener = listen();
  const auto text = numbered_lines(2'000'000);
  write(text);
  auto words = send_words();
  words[5] = "10000";
  EXPECT_EQ(run_ferry(words).status, 0);
  EXPECT_TRUE(copy() == text);
  write(text + "more\n\n");
  words[5] = "whole";
  EXPECT_EQ(run_ferry(words).status, 0);
  EXPECT_TRUE(copy() == text + "more\n\n");
  EXPECT_EQ(listener->stop().status, 0);
}

TEST_P(copied_file, waits_in_the_session_until_somebody_listens) {
  const auto text = numbered_lines(100'000);
  { const auto finds_the_address = listen(); }
  write(text);
  ferry::test::child sender(ferry_call(send_words()));
  const auto line = sender.read_error_line();
  EXPECT_TRUE(line && line->starts_with("ferry: connect to ")) << line.value_or("nothing");
  const auto listener = listen();
  EXPECT_EQ(sender.finish(), 0);
  EXPECT_TRUE(copy() == text);
}

TEST_P(copied_file, takes_one_sender) {
  const auto listener = listen();
  write("one\n");
  EXPECT_EQ(run_ferry(send_words()).status, 0);
  ferry::test::child other(ferry_call(send_words("", "other")));
  const auto line = other.read_error_line();
  EXPECT_TRUE(line && line->find("max_sessions") != std::string::npos) << line.value_or("nothing");
  EXPECT_EQ(copy(), "one\n");
}

TEST_P(copied_file, is_not_begun_where_somebody_else_has_written) {
  write_file(file("copy"), "mine\n");
  write("one\n");
  const auto listener = listen();
  ferry::test::child sender(ferry_call(send_words()));
  EXPECT_EQ(listener->process().finish(), 1);
  EXPECT_NE(listener->process().error_output().find("has 5 bytes that this session has not written"), std::string::npos)
      << listener->process().error_output();
  EXPECT_EQ(copy(), "mine\n");
}

TEST_P(copied_file, is_not_continued_from_another_one) {
  const auto listener = listen();
  write("one\ntwo\n");
  EXPECT_EQ(run_ferry(send_words()).status, 0);
  for (const auto* other : {"one\n", "eins\nzwei\ndrei\n"}) {
    write(other);
    const auto refused = run_ferry(send_words());
    EXPECT_EQ(refused.status, 1);
    EXPECT_NE(refused.err.find("8 bytes of it were sent already"), std::string::npos) << refused.err;
  }
  EXPECT_EQ(copy(), "one\ntwo\n");
}

TEST_P(copied_file, loses_nothing_on_a_full_disk) {
  const auto text = numbered_lines(3'000'000) + "\n";
  write(text);
  static_cast<void>(listen()->stop());
  // Room for the files of the session, and not for all of the copy.
  arguments limited{"/bin/sh", "-c", "ulimit -f 5000; trap '' XFSZ; exec \"$@\"", "sh"};
  const auto call = ferry_call(listen_words());
  limited.insert(limited.end(), call.begin(), call.end());
  listening_program listener(limited);
  ferry::test::child sender(ferry_call(send_words()));
  EXPECT_EQ(listener.process().finish(), 1);
  EXPECT_NE(listener.process().error_output().find("write to " + file("copy") + ": File too large"), std::string::npos)
      << listener.process().error_output();
  EXPECT_EQ(copy(), text.substr(0, copied()));
  EXPECT_NE(copied(), 0u);
  const auto roomy = listen();
  EXPECT_EQ(sender.finish(), 0);
  EXPECT_TRUE(copy() == text);
}

TEST_P(copied_file, has_lines_that_fit_into_a_message) {
  const auto listener = listen();
  write("one\n" + std::string(600'000, 'x') + "\n");
  const auto refused = run_ferry(send_words());
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("what begins at byte 4 is longer than a message of this session"), std::string::npos)
      << refused.err;
}

// Both programs die again and again, in the middle of transactions and of starting.
TEST_P(copied_file, is_the_same_after_any_number_of_kills) {
  const std::uint64_t wanted = ferry::test::rounds(40);
  const std::string text = numbered_lines(5'000'000);
  write(text);
  std::mt19937_64 dice(2026);
  const auto up_to = [&dice](std::uint64_t most) {
    return std::uniform_int_distribution<std::uint64_t>(0, most)(dice);
  };
  auto listener = listen();
  auto sender = std::make_unique<ferry::test::child>(ferry_call(send_words()));
  std::uint64_t kills = 0;
  std::string all = text;
  while (kills < wanted) {
    // Until it has got further by so much, or for so many looks: then starting is interrupted.
    const std::uint64_t goal = copied() + 1 + up_to(2 * text.size() / wanted);
    const std::uint64_t looks = dice() % 3 == 0 ? up_to(3000) : 2'000'000;
    for (std::uint64_t i = 0; i < looks && copied() < goal; ++i) {
      if (i % 64 == 63 && sender->wait(std::chrono::milliseconds(0))) break;
    }
    if (const auto ended = sender->wait(std::chrono::milliseconds(0))) {
      ASSERT_EQ(*ended, 0) << sender->finish().value_or(-1) << sender->error_output();
      ASSERT_TRUE(copy() == all);
      all += numbered_lines(1'000'000);
      write(all);
    }
    const auto which = dice() % 3;
    kills += which == 2 ? 2 : 1;
    if (which != 0) {
      sender->kill(SIGKILL);
      static_cast<void>(sender->wait());
    }
    if (which != 1) {
      listener->process().kill(SIGKILL);
      static_cast<void>(listener->process().wait());
      listener = listen();
    }
    if (sender->wait(std::chrono::milliseconds(0)))
      sender = std::make_unique<ferry::test::child>(ferry_call(send_words()));
  }
  EXPECT_EQ(sender->finish(), 0) << sender->error_output();
  EXPECT_TRUE(copy() == all) << copied() << " of " << all.size() << " bytes";
  EXPECT_EQ(listener->stop().status, 0);
}

TEST(append, says_what_to_write_where_there_is_no_session) {
  const ferry::test::temp_dir directory;
  const auto listened = run_ferry({"listen", "ipc://" + directory.file("s"), "--append", directory.file("f")});
  EXPECT_EQ(listened.status, 2);
  EXPECT_NE(listened.err.find("write 'URL?session=persistent&as=NAME&dir=DIR'"), std::string::npos) << listened.err;
  EXPECT_FALSE(std::filesystem::exists(directory.file("f")));
  const auto sent = run_ferry({"send", "ipc://" + directory.file("s"), "--continue", "--file", directory.file("f")});
  EXPECT_EQ(sent.status, 2);
  EXPECT_NE(sent.err.find("write 'URL?session=persistent&as=NAME&dir=DIR'"), std::string::npos) << sent.err;
}

TEST(append, does_not_go_together_with_what_is_no_file) {
  EXPECT_EQ(run_ferry({"listen", "ipc://@a", "--append", "f", "--echo"}).status, 2);
  EXPECT_EQ(run_ferry({"listen", "ipc://@a", "--append", "f", "--count", "1"}).status, 2);
  EXPECT_EQ(run_ferry({"listen", "ipc://@a", "--append", "f", "--output", "json"}).status, 2);
  EXPECT_EQ(run_ferry({"send", "ipc://@a", "--continue"}).status, 2);
  EXPECT_EQ(run_ferry({"send", "ipc://@a", "--continue", "--file", "f", "-m", "x"}).status, 2);
}

}  // namespace
