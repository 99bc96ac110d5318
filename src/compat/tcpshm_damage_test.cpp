// Files of tcpshm's protocol that are damaged, cut off, or on a full disk: each bit and each length of what has no
// checksum. Nothing that waits is lost for it, and nothing comes twice.
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "testing/small_disk.hpp"
#include "testing/tcpshm_pair.hpp"

namespace ferry::test {
namespace {

constexpr std::size_t k_name_bytes = 16;
constexpr std::size_t k_queue_bytes = 512;

// So small that each of their lengths can be tried.
tcpshm::options small_files() {
  auto with = tcpshm::options::seed_defaults();
  with.tcp_queue_bytes = with.shm_queue_bytes = k_queue_bytes;
  return with;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void set_content(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

class tcpshm_damage : public ::testing::TestWithParam<bool> {
 protected:
  tcpshm_damage() { on.server->pops = false; }
  [[nodiscard]] static bool shm() { return GetParam(); }
  [[nodiscard]] std::string last_server() const { return on.client_files.file(on.client_name + ".lastserver"); }
  [[nodiscard]] std::string client_queue() const {
    return on.client_files.file(on.client_name + "_" + on.server_name + ".ptcp");
  }
  [[nodiscard]] std::string server_queue() const {
    return on.server_files.file(on.server_name + "_" + on.client_name + ".ptcp");
  }
  /// Not in order: as by its death.
  void end_client() {
    on.client.reset();
    ASSERT_TRUE(on_server([&] { return on.member().is_closed(); }, "the server to notice"));
  }
  template <class Predicate>
  [[nodiscard]] ::testing::AssertionResult on_server(Predicate done, std::string_view awaited) {
    return poll_until([this] { on.server->poll(on.now); }, std::move(done), awaited);
  }
  /// A client that comes again with what lies there is refused by its own files, before it has said anything.
  [[nodiscard]] bool is_refused_by_its_files() {
    on.make_client();
    if (on.client->start_connect(shm(), "127.0.0.1", on.server->port())) return false;
    EXPECT_TRUE(on.client->notes.back().starts_with("system error 0: ")) << on.client->notes.back();
    return true;
  }
  /// Logs in, and one message waits for the server, which has not popped it.
  void queue_one() {
    ASSERT_TRUE(on.log_in(shm()));
    ASSERT_FALSE(on.client->say("queued"));
    ASSERT_TRUE(on.until([&] { return !on.server->messages.empty(); }, "a message"));
    end_client();
  }
  void expect_the_queued_one() {
    on.make_client();
    on.server->pops = true;
    on.server->messages.clear();
    ASSERT_TRUE(on.log_in(shm()));
    ASSERT_FALSE(on.client->say("next"));
    ASSERT_TRUE(on.until([&] { return on.server->messages.size() == 2; }, "both"));
    EXPECT_EQ(on.server->messages, (told{"1 queued", "1 next"}));
    EXPECT_EQ(on.client->get_connection().discarded() + on.member().discarded(), 0u);
  }

  tcpshm_pair on{small_files(), small_files()};
};

INSTANTIATE_TEST_SUITE_P(, tcpshm_damage, ::testing::Values(false, true),
                         [](const auto& one) { return std::string(one.param ? "shm" : "tcp"); });

TEST_P(tcpshm_damage, of_any_bit_of_the_last_servers_name_is_refused_and_discards_nothing) {
  queue_one();
  const std::string good = content_of(last_server());
  ASSERT_EQ(good.size(), k_name_bytes);
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    set_content(last_server(), bad);
    if (is_refused_by_its_files()) {
      refused += 1;
      EXPECT_EQ(content_of(last_server()), bad) << "it is left as it is";
      continue;
    }
    ASSERT_TRUE(on.until([&] { return !on.client->connecting(); }, "an answer")) << bit;
    ASSERT_EQ(on.client->notes.back(), "success: " + on.server_name) << bit;
    ASSERT_EQ(on.member().discarded(), 0u) << bit;
    end_client();
  }
  EXPECT_EQ(refused, (on.server_name.size() + 1) * 8) << "what lies behind the name says nothing";
  set_content(last_server(), good);
  expect_the_queued_one();
}

TEST_P(tcpshm_damage, of_any_other_length_the_last_servers_name_is_refused_and_nothing_is_discarded) {
  queue_one();
  const std::string good = content_of(last_server());
  for (std::size_t length = 0; length <= good.size() + 1; ++length) {
    if (length == good.size()) continue;
    std::string bad = good;
    bad.resize(length);
    set_content(last_server(), bad);
    EXPECT_TRUE(is_refused_by_its_files()) << length;
    EXPECT_EQ(content_of(last_server()), bad) << length;
  }
  set_content(last_server(), std::string("\0", 1) + good.substr(1));
  EXPECT_TRUE(is_refused_by_its_files()) << "a name that begins with a zero";
  set_content(last_server(), good);
  expect_the_queued_one();
}

TEST_P(tcpshm_damage, is_no_name_of_another_server_that_was_met_or_of_one_that_nobody_met) {
  queue_one();
  const std::string good = content_of(last_server());
  const auto other_name = unique_name("o");
  const clean_rings other_rings(on.client_name, other_name);
  const temp_dir other_files;
  noting_server other(other_files.path().string(), other_name, on.server_options);
  ASSERT_TRUE(other.start("127.0.0.1", 0));
  on.make_client();
  ASSERT_TRUE(on.client->start_connect(shm(), "127.0.0.1", other.port()));
  ASSERT_TRUE(poll_until(
      [&] {
        other.poll(on.now);
        on.client->poll_tcp(on.now);
        on.client->poll_shm();
      },
      [&] { return !on.client->connecting(); }, "an answer"));
  EXPECT_EQ(on.client->notes.back(), "success: " + other_name);
  EXPECT_FALSE(is_refused_by_its_files());
  std::string unmet = "nobody";
  unmet.resize(k_name_bytes);
  set_content(last_server(), unmet);
  EXPECT_FALSE(is_refused_by_its_files());
  set_content(last_server(), std::string(k_name_bytes, '\0'));  // as the original has it before its first login
  EXPECT_FALSE(is_refused_by_its_files());
}

// Of a side that only received all is zero but the last word, its acknowledgement; and the peer may not know of it yet.
TEST_P(tcpshm_damage, of_any_length_a_file_is_refused_and_no_message_comes_twice) {
  ASSERT_TRUE(on.log_in(shm()));
  for (const char* text : {"1", "2", "3"}) ASSERT_FALSE(on.server->say(on.client_name, text));
  ASSERT_TRUE(on.until([&] { return on.client->messages.size() == 3; }, "three messages"));
  end_client();
  if (shm()) on.make_server();
  const auto paths = shm() ? std::vector{on.rings.path(true), on.rings.path(false)} : std::vector{client_queue()};
  for (const auto& path : paths) {
    const std::string good = content_of(path);
    for (std::size_t length = 0; length < good.size(); ++length) {
      set_content(path, good.substr(0, length));
      if (shm()) {
        on.make_client();
        ASSERT_FALSE(on.log_in(true)) << length;
        ASSERT_EQ(on.client->notes.back(), "rejected: File error");
        ASSERT_NE(on.server->notes.back().find("it was cut off"), std::string::npos) << on.server->notes.back();
      } else {
        ASSERT_TRUE(is_refused_by_its_files()) << length;
        ASSERT_NE(on.client->notes.back().find("it was cut off"), std::string::npos) << on.client->notes.back();
      }
      ASSERT_EQ(content_of(path).size(), length) << "it is left as it is";
    }
    set_content(path, good);
  }
  on.make_client();
  ASSERT_TRUE(on.log_in(shm()));
  ASSERT_FALSE(on.server->say(on.client_name, "4"));
  ASSERT_TRUE(on.until([&] { return !on.client->messages.empty(); }, "the next one"));
  EXPECT_EQ(on.client->messages, told{"1 4"});
}

// Queue files alone ---------------------------------------------------------------------------------------------------

class tcpshm_queue_damage : public tcpshm_damage {};
INSTANTIATE_TEST_SUITE_P(, tcpshm_queue_damage, ::testing::Values(false), [](const auto&) { return "tcp"; });

TEST_P(tcpshm_queue_damage, is_a_file_error_and_left_as_it_is_also_when_a_login_begins_anew) {
  ASSERT_TRUE(on.log_in(false));
  ASSERT_FALSE(on.client->say("from the client"));
  ASSERT_FALSE(on.server->say(on.client_name, "from the server"));
  on.client.reset();
  on.server.reset();
  const auto damage = [](const std::string& path) {
    std::string bad = content_of(path);
    bad.replace(k_queue_bytes, 4, "\xff\xff\xff\x7f");  // write_idx
    set_content(path, bad);
    return bad;
  };
  const std::string good = content_of(server_queue());
  const std::string bad_server = damage(server_queue()), bad_client = damage(client_queue());
  std::filesystem::remove(last_server());
  on.make_server();
  on.make_client();
  EXPECT_FALSE(on.log_in(false));
  EXPECT_EQ(on.client->notes.back(), "rejected: File error");
  EXPECT_NE(on.server->notes.back().find("is damaged"), std::string::npos) << on.server->notes.back();
  on.server.reset();
  EXPECT_EQ(content_of(server_queue()), bad_server);

  set_content(server_queue(), good);
  on.make_server();
  EXPECT_FALSE(on.log_in(false));
  EXPECT_NE(on.client->notes.back().find("is damaged"), std::string::npos) << on.client->notes.back();
  EXPECT_EQ(content_of(client_queue()), bad_client);
  EXPECT_FALSE(std::filesystem::exists(last_server()));
}

// In a child, whose client sees a full disk. @param pages  that are left @return 0: as it should be
int log_in_on_a_full_disk(tcpshm_pair& on, off_t pages, const std::string& told_of) {
  const std::string ballast = on.client_files.file("ballast");
  if (!mount_small_disk(on.client_files.path().string(), "size=64k")) return k_no_namespaces;
  fill_disk(ballast);
  if (::truncate(ballast.c_str(), static_cast<off_t>(std::filesystem::file_size(ballast)) - pages * 4096) != 0)
    return 1;
  if (on.log_in(false)) return 2;
  const std::string& note = on.client->notes.back();
  if (!note.starts_with("system error " + std::to_string(ENOSPC) + ": ") || note.find(told_of) == note.npos) {
    std::cerr << note << '\n';
    return 3;
  }
  if (on.client->connecting() || std::filesystem::exists(on.client_files.file(on.client_name + ".lastserver")))
    return 4;
  if (::truncate(ballast.c_str(), 0) != 0) return 5;
  const auto gone = [&] { return on.server->notes.back().starts_with("disconnected"); };
  if (!on.until(gone, "the server to notice")) return 6;
  if (!on.log_in(false)) return 7;
  if (on.client->say("there is room again")) return 8;
  return on.until([&] { return !on.server->messages.empty(); }, "a message") ? 0 : 9;
}

TEST(tcpshm_on_a_full_disk, a_client_tells_the_errno_and_logs_in_once_there_is_room) {
  const auto small = small_files();
  struct step {
    off_t pages;
    std::string told_of;
  };
  for (const auto& [pages, told_of] : {step{0, ".ptcp"}, step{1, ".lastserver.new"}}) {
    tcpshm_pair on(small, small);
    const int outcome = in_child([&, left = pages, file = told_of] { return log_in_on_a_full_disk(on, left, file); });
    if (outcome == k_no_namespaces) GTEST_SKIP() << "no namespaces here";
    EXPECT_EQ(outcome, 0) << told_of;
  }
}

}  // namespace
}  // namespace ferry::test
