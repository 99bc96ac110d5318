// A file to a file, through a session, exactly once.
#include <ferry/session_files.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "apps/ferry/program_under_test.hpp"
#include "testing/raw_tcp.hpp"
#include "testing/tls_authority.hpp"
#include "tests/crash/rounds.hpp"

namespace {

using namespace ferry::app::test;

class copied_file : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    ::setenv("RUNTIME_DIRECTORY", directory_.path().c_str(), 1);
    if (is_tls()) ferry::test::tls_authority().issue(file("host.pem"), {});
  }
  void TearDown() override { ::unsetenv("RUNTIME_DIRECTORY"); }

  [[nodiscard]] static bool is_tls() { return std::string_view(GetParam()) == "tls"; }
  [[nodiscard]] std::string file(const std::string& name) const { return directory_.file(name); }
  /// Where to listen; nobody else takes the port while nobody does.
  [[nodiscard]] std::string where() const {
    const std::string scheme = GetParam();
    if (scheme == "shm") return "shm://copy";
    return scheme == "ipc" ? "ipc://" + file("socket") : scheme + "://127.0.0.1:" + std::to_string(port_.number());
  }
  [[nodiscard]] std::string side(const std::string& name, const std::string& more = "") const {
    return where() + "?session=persistent&ring_bytes=2MiB&as=" + name + "&dir=" + file("state-" + name) + more;
  }
  [[nodiscard]] arguments listen_words(const std::string& more = "") const {
    const std::string shown = is_tls() ? "&tls_certificate=" + file("host.pem") : "";
    return {"listen", side("archive", shown + more), "--output", "lines", "--append", file("copy")};
  }
  [[nodiscard]] arguments send_words(const std::string& more = "", const std::string& as = "web") const {
    const std::string trusted = is_tls() ? "&tls_ca=" + file("host.pem.ca") : "";
    return {"send",       side(as, trusted + more + "&reconnect_base=5ms&reconnect_max=20ms"),
            "--file",     file("text"),
            "--split",    "lines",
            "--continue", "--wait",
            "0"};
  }
  [[nodiscard]] std::unique_ptr<listening_program> listen(const std::string& more = "") {
    for (const auto* name : {"archive", "web", "other"})
      std::filesystem::create_directory(file(std::string("state-") + name));
    return std::make_unique<listening_program>(ferry_call(listen_words(more)));
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
  ferry::test::reserved_port port_;
};

INSTANTIATE_TEST_SUITE_P(over, copied_file, ::testing::Values("shm", "ipc", "tcp", "tls"),
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

// What is not on the disk is not taken: else a machine that dies leaves a session that knows of more than FILE has.
TEST_P(copied_file, is_synced_with_durable_disk_before_anything_is_taken_as_written) {
#ifdef FERRY_FAILING_FDATASYNC
  static_cast<void>(listen("&durable=disk")->stop());
  const ferry::session_key archives{file("state-archive"), "archive", "web"}, webs{file("state-web"), "web", ""};
  const auto text = numbered_lines(1000);
  write(text);
  arguments failing{"/usr/bin/env", "LD_PRELOAD=" FERRY_FAILING_FDATASYNC};
  const auto call = ferry_call(listen_words("&durable=disk"));
  failing.insert(failing.end(), call.begin(), call.end());
  listening_program listener(failing);
  ferry::test::child sender(ferry_call(send_words("&durable=disk")));
  EXPECT_EQ(listener.process().finish(), 1);
  const auto said = listener.process().error_output();
  EXPECT_NE(said.find("sync " + file("copy") + ": Input/output error"), std::string::npos) << said;
  EXPECT_EQ(ferry::show_session(archives).counts.consumed, 0u);
  EXPECT_EQ(ferry::show_session(webs).counts.acknowledged, 0u) << "the sender was told nothing";
  const auto working = listen("&durable=disk");
  EXPECT_EQ(sender.finish(), 0);
  EXPECT_TRUE(copy() == text);
  EXPECT_EQ(working->stop().status, 0);
#else
  GTEST_SKIP() << "an instrumented program takes nothing before its own library";
#endif
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
  {
    // Who looks for somebody else is not the one.
    ferry::test::child lost(ferry_call(send_words("&peer=somebody", "other")));
    const auto line = lost.read_error_line();
    EXPECT_TRUE(line && line->ends_with("expected 'somebody', found 'archive'")) << line.value_or("nothing");
  }
  EXPECT_EQ(run_ferry(send_words()).status, 0);
  ferry::test::child other(ferry_call(send_words("", "other")));
  const auto line = other.read_error_line();
  EXPECT_TRUE(line && line->find("max_sessions") != std::string::npos) << line.value_or("nothing");
  EXPECT_EQ(copy(), "one\n");
}

TEST_P(copied_file, gets_nothing_from_who_forgets_to_continue) {
  const auto listener = listen();
  write("one\n");
  EXPECT_EQ(run_ferry(send_words()).status, 0);
  auto forgets = send_words();
  forgets.erase(std::find(forgets.begin(), forgets.end(), "--continue"));
  const auto refused = run_ferry(forgets);
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("this session copies a file with --continue"), std::string::npos) << refused.err;
  write("one\ntwo\n");
  EXPECT_EQ(run_ferry(send_words()).status, 0);
  EXPECT_EQ(copy(), "one\ntwo\n");
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
  RecordProperty("kills", std::to_string(kills));
  RecordProperty("lines_copied", std::to_string(std::count(all.begin(), all.end(), '\n')));
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

TEST(append, makes_no_file_where_it_cannot_listen) {
  const ferry::test::temp_dir directory;
  std::ofstream(directory.file("there"));
  for (const auto* name : {"new", "there"}) {
    const auto url =
        "ipc://" + directory.file("none/s") + "?session=persistent&as=archive&dir=" + directory.file("state");
    EXPECT_EQ(run_ferry({"listen", url, "--append", directory.file(name)}).status, 1);
    EXPECT_EQ(std::filesystem::exists(directory.file(name)), name == std::string_view("there"));
  }
}

TEST(append, does_not_go_together_with_what_is_no_file) {
  EXPECT_EQ(run_ferry({"listen", "ipc://@a", "--append", "f", "--echo"}).status, 2);
  EXPECT_EQ(run_ferry({"listen", "ipc://@a", "--append", "f", "--count", "1"}).status, 2);
  EXPECT_EQ(run_ferry({"listen", "ipc://@a", "--append", "f", "--output", "json"}).status, 2);
  EXPECT_EQ(run_ferry({"send", "ipc://@a", "--continue"}).status, 2);
  EXPECT_EQ(run_ferry({"send", "ipc://@a", "--continue", "--file", "f", "-m", "x"}).status, 2);
  const auto piped = run_ferry({"send", "ipc://@a?session=persistent&as=web", "--continue", "--file", "-"});
  EXPECT_EQ(piped.status, 2);
  EXPECT_NE(piped.err.find("not standard input"), std::string::npos) << piped.err;
}

TEST(append, names_a_listener_with_a_session_where_none_listens) {
  const ferry::test::temp_dir directory;
  const auto path = directory.file("s");
  std::ofstream(directory.file("f")) << "a line\n";
  ferry::test::child sender(
      ferry_call({"send", "ipc://" + path + "?session=persistent&as=web&dir=" + directory.file("state"), "--continue",
                  "--file", directory.file("f"), "--wait", "0"}));
  const auto line = sender.read_error_line();
  EXPECT_TRUE(line && line->ends_with("ferry listen 'ipc://" + path + "?session=persistent&as=NAME&dir=DIR'"))
      << line.value_or("nothing");
}

}  // namespace
