// What tcpshm's programs were captured saying to each other, with either of them replaced by ours.
#include <gtest/gtest.h>

#include <fstream>

#include "base/endian.hpp"
#include "codec/tcpshm_messages.hpp"
#include "testing/tcp_by_hand.hpp"
#include "testing/tcpshm_pair.hpp"

namespace ferry::test {
namespace {

struct segment {
  bool from_client = false;
  std::string data;  // empty: the end of its direction
};

std::string from_hex(std::string_view hex) {
  std::string made;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    made += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return made;
}

std::vector<segment> transcript(const std::string& name) {
  std::ifstream from(FERRY_SOURCE_DIR "/tests/interop/data/" + name);
  std::vector<segment> made;
  for (std::string line; std::getline(from, line);) {
    const auto hex = line.find("\"hex\": \"");
    if (hex == std::string::npos) continue;
    const auto begin = hex + 8;
    made.push_back(
        {line.find("C>S") != std::string::npos, from_hex(line.substr(begin, line.find('"', begin) - begin))});
  }
  EXPECT_GT(made.size(), 3u) << name;
  return made;
}

std::uint16_t size_at(const std::string& of, std::size_t at) {
  return load_le<std::uint16_t>(as_bytes(of).data() + at);
}

// The whole messages in it, with their padding set to zeros; what is cut at the end is left out.
std::vector<std::string> messages_of(const std::string& data) {
  std::vector<std::string> made;
  for (std::size_t at = 0; at + 8 <= data.size();) {
    const std::size_t size = size_at(data, at);
    const std::size_t whole = codec::tcpshm::padded(size);
    if (size < 8 || at + whole > data.size()) break;
    std::string one = data.substr(at, size);
    one.resize(whole);
    made.push_back(std::move(one));
    at += whole;
  }
  return made;
}
std::string joined(const std::vector<std::string>& all) {
  std::string made;
  for (const auto& one : all) made += one;
  return made;
}

// Without what lay in the original's memory: the answer's user data and text.
std::string clean_answer(std::string answer) {
  answer[16] = 0;
  for (std::size_t i = 34; i < answer.size(); ++i) answer[i] = 0;
  return answer;
}

constexpr std::size_t k_queue = 8192;
constexpr std::size_t k_answer = 72;

// A queue file as a program leaves it: `first`, then messages that nobody looks at.
void write_queue(const std::string& path, std::uint32_t start, std::uint32_t end, std::uint32_t ack,
                 std::vector<std::string> first) {
  std::string file;
  for (std::uint32_t i = start; i < end; ++i) {
    std::string one(16, '\0');
    codec::tcpshm::store_header(reinterpret_cast<std::byte*>(one.data()), {16, 1, ack}, std::endian::little);
    file += i - start < first.size() ? first[i - start] : one;
  }
  const auto write = static_cast<std::uint32_t>(file.size() / 8);
  file.resize(k_queue);
  for (const std::uint32_t word : {write, 0u, write, start, ack}) {
    std::string bytes(4, '\0');
    store_le(reinterpret_cast<std::byte*>(bytes.data()), word);
    file += bytes;
  }
  std::ofstream(path, std::ios::binary) << file;
}

tcpshm::options as_captured() {
  auto with = tcpshm::options::seed_defaults();
  with.tcp_queue_bytes = k_queue;
  return with;
}

class server_in_a_transcript : public ::testing::Test {
 protected:
  void start() {
    server.echoes = true;
    ASSERT_TRUE(server.start("127.0.0.1", 0));
  }
  void expect(raw_tcp& from, const std::string& wanted) {
    ASSERT_TRUE(poll_until([this] { server.poll(1); }, [&] { return from.received().size() >= wanted.size(); },
                           std::to_string(wanted.size()) + " bytes from the server"));
    EXPECT_EQ(from.take(wanted.size()), wanted);
  }
  temp_dir files;
  noting_server server{files.path().string(), "server", as_captured()};
};

TEST_F(server_in_a_transcript, answers_byte_by_byte_as_the_original_did) {
  start();
  raw_tcp client(server.port());
  for (const auto& one : transcript("tcpshm_login_echo.jsonl")) {
    if (one.data.empty()) break;
    if (one.from_client) {
      client.send(one.data);
    } else {
      expect(client, joined(messages_of(one.data)));
    }
    if (HasFatalFailure()) return;
  }
  client.close();
  ASSERT_TRUE(poll_until([this] { server.poll(1); }, [&] { return server.notes.size() == 3; }, "the end"));
  EXPECT_EQ(server.messages.size(), 14u);
}

TEST_F(server_in_a_transcript, takes_a_login_that_comes_in_pieces) {
  for (std::size_t cut = 1; cut < 56; ++cut) {
    temp_dir other;
    noting_server one(other.path().string(), "server", as_captured());
    ASSERT_TRUE(one.start("127.0.0.1", 0));
    raw_tcp client(one.port());
    const auto login = transcript("tcpshm_login_echo.jsonl")[0].data;
    client.send(login.substr(0, cut));
    one.poll(1);
    one.poll(1);
    client.send(login.substr(cut));
    ASSERT_TRUE(poll_until([&] { one.poll(1); }, [&] { return client.received().size() == k_answer; }, "an answer"));
  }
}

TEST_F(server_in_a_transcript, sends_again_what_the_original_had_queued_and_goes_on) {
  const auto said = transcript("tcpshm_resume.jsonl");
  ASSERT_EQ(said.size(), 4u);
  auto queued = messages_of(said[1].data.substr(k_answer));
  const std::size_t shown = queued.size();
  std::string unknown(16, '\0');  // the one before, that the client has
  codec::tcpshm::store_header(reinterpret_cast<std::byte*>(unknown.data()), {16, 1, 0x2fec}, std::endian::little);
  queued.insert(queued.begin(), unknown);
  write_queue(files.file("server_cli.ptcp"), 0x2fec, 0x304f, 0x304f, queued);
  start();
  raw_tcp client(server.port());
  client.send(said[0].data);
  expect(client, clean_answer(said[1].data.substr(0, k_answer)));
  expect(client, joined({queued.begin() + 1, queued.end()}));
  const std::size_t fillers = 0x304fu - 0x2fedu - shown;
  expect(client, [&] {
    std::string all;
    for (std::size_t i = 0; i < fillers; ++i) all += std::string("\x10\0\1\0\x4f\x30\0\0\0\0\0\0\0\0\0\0", 16);
    return all;
  }());
  // The client had lost nothing, and says something new.
  const auto more = messages_of(said[2].data);
  client.send(joined(more));
  auto echoes = messages_of(said[3].data);
  ASSERT_GE(echoes.size(), more.size() - 1);
  echoes.resize(std::min(echoes.size(), more.size()));
  expect(client, joined(echoes));
}

class client_in_a_transcript : public ::testing::Test {
 protected:
  void expect(raw_tcp& from, const std::string& wanted) {
    ASSERT_TRUE(poll_until([this] { client.poll_tcp(1); }, [&] { return from.received().size() >= wanted.size(); },
                           std::to_string(wanted.size()) + " bytes from the client"));
    EXPECT_EQ(from.take(wanted.size()), wanted);
  }
  temp_dir files;
  raw_tcp_listener at;
  noting_client client{files.path().string(), "cli", as_captured()};
};

TEST_F(client_in_a_transcript, speaks_byte_by_byte_as_the_original_did) {
  ASSERT_TRUE(client.start_connect(false, "127.0.0.1", at.port()));
  raw_tcp server = at.accept();
  std::size_t echoed = 0;
  bool logged_in = false;
  bool answered = false;
  for (const auto& one : transcript("tcpshm_login_echo.jsonl")) {
    if (one.data.empty()) break;
    if (!one.from_client) {
      server.send(one.data);
      if (!std::exchange(answered, true)) continue;
      ASSERT_TRUE(
          poll_until([this] { client.poll_tcp(1); }, [&] { return client.messages.size() > echoed; }, "an echo"));
      echoed += 1;
      continue;
    }
    const auto wanted = joined(messages_of(one.data));
    if (std::exchange(logged_in, true)) {
      ASSERT_TRUE(
          poll_until([this] { client.poll_tcp(1); }, [&] { return !client.get_connection().is_closed(); }, "up"));
      ASSERT_FALSE(client.say(std::string_view(one.data).substr(8, size_at(one.data, 0) - 8u), size_at(one.data, 2)));
    } else {
      // All of it in one segment: the original takes no other.
      ASSERT_TRUE(poll_until([this] { client.poll_tcp(1); }, [&] { return !server.received().empty(); }, "a login"));
      EXPECT_EQ(server.received().size(), wanted.size());
    }
    expect(server, wanted);
    if (HasFatalFailure()) return;
  }
  EXPECT_EQ(client.messages.size(), 14u);
  EXPECT_EQ(client.notes, told{"success: server"});
}

TEST_F(client_in_a_transcript, logs_in_after_its_death_as_the_original_did_and_goes_on) {
  const auto said = transcript("tcpshm_resume.jsonl");
  const auto mine = messages_of(said[2].data);
  const auto theirs = messages_of(said[1].data.substr(k_answer));
  write_queue(files.file("cli_server.ptcp"), 0x2fed, 0x304f, 0x2fed, {});
  std::ofstream(files.file("cli.lastserver"), std::ios::binary) << "server" << std::string(10, '\0');
  ASSERT_TRUE(client.start_connect(false, "127.0.0.1", at.port())) << client.notes[0];
  raw_tcp server = at.accept();
  expect(server, said[0].data);
  // What the server sends again acknowledges less than its answer did.
  server.send(said[1].data);
  std::size_t next = 0;
  const auto say_next = [&] {
    if (next == mine.size()) return;
    const auto& one = mine[next++];
    EXPECT_FALSE(client.say(std::string_view(one).substr(8, size_at(one, 0) - 8u), size_at(one, 2)));
  };
  client.on_success = say_next;
  client.on_message = [&](const tcpshm::message&) { say_next(); };
  ASSERT_TRUE(
      poll_until([this] { client.poll_tcp(1); }, [&] { return client.messages.size() == theirs.size(); }, "all"));
  EXPECT_EQ(client.notes, told{"success: server"});
  for (std::size_t i = 0; i < theirs.size(); ++i)
    EXPECT_EQ(client.messages[i].substr(2), theirs[i].substr(8, size_at(theirs[i], 0) - 8u));
  EXPECT_GT(next, 15u);
  expect(server, joined({mine.begin(), mine.begin() + static_cast<std::ptrdiff_t>(next)}));
}

}  // namespace
}  // namespace ferry::test
