// The option `capture`, seen from channels: what is in the file, who may read it, and what happens at its limits.
#include <ferry/channel.hpp>
#include <ferry/listener.hpp>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "codec/pcap_reader.hpp"
#include "os/unique_fd.hpp"
#include "testing/small_disk.hpp"
#include "testing/temp_dir.hpp"
#include "testing/tls_authority.hpp"
#include "testing/watchdog.hpp"

namespace ferry::test {
namespace {

using codec::flow_side;
using ::testing::HasSubstr;

struct kept_lines final : log_sink {
  void write(log_level, std::string_view component, std::string_view text) noexcept override {
    if (component == "capture") lines.emplace_back(text);
  }
  std::vector<std::string> lines;
};

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string said(const codec::captured_flow& flow, flow_side side) {
  std::string text;
  for (const auto& piece : flow.pieces)
    if (piece.from == side) text += as_text(piece.data);
  return text;
}

class capture : public ::testing::TestWithParam<const char*> {
 protected:
  [[nodiscard]] std::string url() const {
    const std::string scheme = GetParam();
    if (scheme == "ipc") return "ipc://" + dir.file("s");
    if (scheme == "inproc") return "inproc://captured";
    if (scheme == "ws+ipc") return "ws+ipc://" + dir.file("s") + "?path=/talk";
    return scheme + "://127.0.0.1:0";
  }
  [[nodiscard]] static bool is_encrypted() {
    return std::string_view(GetParam()) == "tls" || std::string_view(GetParam()).starts_with("wss");
  }
  [[nodiscard]] static bool is_websocket() { return std::string_view(GetParam()).starts_with("ws"); }
  [[nodiscard]] static bool speaks_http() { return is_websocket() && !std::string_view(GetParam()).ends_with("+raw"); }
  [[nodiscard]] std::string file(const char* name) const { return dir.file(std::string(name) + ".pcap"); }

  void listen(const std::string& to, const std::string& at, std::size_t most = 1u << 20) {
    options with;
    with.capture = to;
    with.capture_max = most;
    if (speaks_http()) with.ws_subprotocols = "bearer.of-a-secret";
    if (is_encrypted()) {
      authority.issue(dir.file("host.pem"), {});
      with.tls_certificate = dir.file("host.pem");
    }
    auto made = listener::open(where, at, with);
    ASSERT_TRUE(made) << made.error().text();
    listening = *made;
    listening.on_channel([](channel arrived) {
      arrived.on_message([arrived](const message_view& m) mutable { (void)arrived.try_send(m.payload); });
    });
  }

  [[nodiscard]] channel connect(const std::string& to) {
    options with;
    with.capture = to;
    with.tls_ca = is_encrypted() ? dir.file("host.pem.ca") : "";
    if (speaks_http()) with.ws_headers = "Authorization: Bearer of-a-secret\nX-Public: known";
    if (speaks_http()) with.ws_subprotocols = "bearer.of-a-secret";
    std::string at = listening.url();
    if (at.starts_with("ws://") || at.starts_with("wss://")) at += "?token=of-a-secret&room";
    auto made = channel::open(where, at, with);
    EXPECT_TRUE(made) << made.error().text();
    return *made;
  }

  /// Says `text`, hears it, and closes in order.
  void talk(channel with, const std::string& text) {
    std::string heard;
    with.on_message([&](const message_view& m) { heard = as_text(m.payload); });
    ASSERT_TRUE(with.try_send(as_bytes(text)));
    ASSERT_TRUE(run_until(
        io, [&] { return heard == text; }, "the echo"));
    bool closed = false;
    with.async_close([&](error_code, const close_report&) { closed = true; });
    ASSERT_TRUE(run_until(
        io, [&] { return closed && where.totals().channels_open.value() == 0; }, "both ends closed"));
  }

  /// A WebSocket outlives its channel for as long as the peer takes to end.
  void await_end_in(const std::string& path) {
    const auto ended = [&path] {
      const std::string wire = content_of(path);
      const auto seen = codec::read_capture(as_bytes(wire));
      return seen && seen->flows.size() == 1 && seen->flows[0].ended[0] && seen->flows[0].ended[1];
    };
    ASSERT_TRUE(run_until(io, ended, "the end of the stream in " + path));
  }

  temp_dir dir;
  tls_authority authority;
  boost::asio::io_context io{1};
  kept_lines log;
  context where{io, {.log = &log}};
  listener listening;
};

TEST_P(capture, shows_both_ends_the_same_conversation) {
  listen(file("server"), url());
  talk(connect(file("client")), "what is said on the wire");
  await_end_in(file("server"));
  await_end_in(file("client"));
  const std::string wire = content_of(file("server"));
  const std::string wire_of_client = content_of(file("client"));
  const auto server = codec::read_capture(as_bytes(wire));
  const auto client = codec::read_capture(as_bytes(wire_of_client));
  ASSERT_TRUE(server && client);
  ASSERT_EQ(server->flows.size(), 1u);
  ASSERT_EQ(client->flows.size(), 1u);
  for (const auto side : {flow_side::client, flow_side::server}) {
    // A client's frames are masked.
    if (!is_websocket() || side == flow_side::server) {
      EXPECT_THAT(said(server->flows[0], side), HasSubstr("what is said on the wire"));
    }
    EXPECT_EQ(said(server->flows[0], side), said(client->flows[0], side));
  }
  for (const auto* flow : {&server->flows[0], &client->flows[0]}) {
    EXPECT_TRUE(flow->ended[0] && flow->ended[1] && !flow->reset && flow->has_begin);
    EXPECT_FALSE(server->cut_short);
    EXPECT_EQ(flow->client, server->flows[0].client) << "both ends know the same addresses";
    EXPECT_EQ(flow->server, server->flows[0].server);
  }
  if (speaks_http()) {
    const auto asked = said(client->flows[0], flow_side::client);
    EXPECT_THAT(asked, HasSubstr("Authorization: xxxxxx xxxxxxxxxxx\r\n"));
    EXPECT_THAT(asked, HasSubstr("Sec-WebSocket-Protocol: xxxxxxxxxxxxxxxxxx\r\n"));
    EXPECT_THAT(said(client->flows[0], flow_side::server), HasSubstr("Sec-WebSocket-Protocol: xxxxxxxxxxxxxxxxxx\r\n"));
    EXPECT_THAT(asked, HasSubstr("X-Public: known\r\n"));
    EXPECT_EQ(wire.find("of-a-secret"), std::string::npos);
  }
  EXPECT_EQ(where.totals().capture_bytes.value() + 2 * codec::k_pcap_file_header, wire.size() + wire_of_client.size());
  struct stat about {};
  ASSERT_EQ(::stat(file("server").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
}

TEST_P(capture, keeps_the_connections_of_a_listener_apart_in_one_file) {
  listen(file("server"), url());
  for (const auto* text : {"first", "second", "third"}) talk(connect(""), text);
  const std::string wire = content_of(file("server"));
  const auto content = codec::read_capture(as_bytes(wire));
  ASSERT_TRUE(content);
  ASSERT_EQ(content->flows.size(), 3u);
  EXPECT_THAT(said(content->flows[0], flow_side::server), HasSubstr("first"));
  EXPECT_THAT(said(content->flows[2], flow_side::server), HasSubstr("third"));
}

TEST_P(capture, ends_at_its_limit_with_a_line_in_the_log_while_the_channel_goes_on) {
  listen(file("server"), url(), 4096);
  talk(connect(""), std::string(10'000, 'x'));
  talk(connect(""), "still here");
  const std::string wire = content_of(file("server"));
  EXPECT_LE(wire.size(), 4096u);
  const auto content = codec::read_capture(as_bytes(wire));
  ASSERT_TRUE(content);
  EXPECT_FALSE(content->cut_short);
  ASSERT_EQ(log.lines.size(), 1u);
  EXPECT_THAT(log.lines[0], HasSubstr("capture_max of 4096 bytes"));
  EXPECT_EQ(where.totals().captures_cut_short.value(), 1u);
}

INSTANTIATE_TEST_SUITE_P(over, capture,
                         ::testing::Values("ipc", "tcp", "tls", "inproc", "ws", "wss", "ws+raw", "wss+raw", "ws+ipc"),
                         [](const auto& one) {
                           std::string name = one.param;
                           std::replace(name.begin(), name.end(), '+', '_');
                           return name;
                         });

class capture_file_on_disk : public capture {};
INSTANTIATE_TEST_SUITE_P(over, capture_file_on_disk, ::testing::Values("ipc"));

TEST_P(capture_file_on_disk, is_gone_on_with_behind_its_last_whole_packet) {
  const std::string path = file("server");
  {
    boost::asio::io_context other_io{1};
    context other(other_io);
    options with;
    with.capture = path;
    ASSERT_TRUE(listener::open(other, "ipc://" + dir.file("other"), with));
  }
  EXPECT_EQ(content_of(path).size(), codec::k_pcap_file_header);
  std::ofstream(path, std::ios::binary | std::ios::app) << "half a packet";
  listen(path, url());
  talk(connect(""), "hello");
  const std::string wire = content_of(path);
  const auto content = codec::read_capture(as_bytes(wire));
  ASSERT_TRUE(content) << content.error().text();
  ASSERT_EQ(content->flows.size(), 1u);
  EXPECT_THAT(said(content->flows[0], flow_side::client), HasSubstr("hello"));
}

TEST_P(capture_file_on_disk, is_refused_where_it_would_destroy_or_follow_something) {
  const auto refused = [&](const std::string& path) {
    options with;
    with.capture = path;
    const auto made = listener::open(where, url(), with);
    return made ? errc{} : made.error().reason();
  };
  std::ofstream(dir.file("letter")) << "Dear Sir or Madam, this is a letter and no capture.";
  EXPECT_EQ(refused(dir.file("letter")), errc::corrupt);
  EXPECT_EQ(content_of(dir.file("letter")).substr(0, 8), "Dear Sir");
  std::ofstream(dir.file("short")) << "short";
  EXPECT_EQ(refused(dir.file("short")), errc::corrupt);
  ASSERT_EQ(::symlink(dir.file("letter").c_str(), dir.file("link").c_str()), 0);
  EXPECT_NE(refused(dir.file("link")), errc{});
  EXPECT_EQ(refused(dir.file("no/such/place")), errc::not_found);
  for (const char* device : {"/dev/null", "/dev/full"}) EXPECT_EQ(refused(device), errc::bad_address) << device;
  const os::unique_fd held(::open(dir.file("held").c_str(), O_RDWR | O_CREAT, 0600));
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  EXPECT_EQ(refused(dir.file("held")), errc::busy);
}

// In a process of its own. @return its exit status: which step failed
int capture_until_the_disk_is_full(const std::string& at) {
  if (!mount_small_disk(at, "size=64k")) return k_no_namespaces;
  boost::asio::io_context io{1};
  kept_lines log;
  context where{io, {.log = &log}};
  options with;
  with.capture = at + "/wire.pcap";
  auto listening = listener::open(where, "ipc://" + at + "/s", with).value();
  listening.on_channel([](channel arrived) {
    arrived.on_message([arrived](const message_view& m) mutable { (void)arrived.try_send(m.payload); });
  });
  fill_disk(at + "/rest");
  for (int connection = 0; connection < 2; ++connection) {
    auto client = channel::open(where, "ipc://" + at + "/s").value();
    int echoes = 0;
    bool clean = false;
    client.on_message([&](const message_view& m) { echoes += m.payload.size() == 2000 ? 1 : 0; });
    for (int i = 0; i < 50; ++i)
      if (!client.try_send(std::string(2000, 'x'))) return 1;
    if (!run_until(
            io, [&] { return echoes == 50; }, "the echoes"))
      return 2;
    client.async_close([&](error_code, const close_report& report) { clean = report.clean(); });
    if (!run_until(
            io, [&] { return clean; }, "a close in order"))
      return 3;
  }
  if (log.lines.size() != 1 || log.lines[0].find("No space left") == std::string::npos) return 4;
  if (where.totals().captures_cut_short.value() != 1) return 5;
  const std::string wire = content_of(with.capture);
  const auto content = codec::read_capture(as_bytes(wire));
  if (!content || content->cut_short) return 6;
  // One that is not begun is an error of who asks for it, and leaves nothing that could not be gone on with.
  with.capture = at + "/other.pcap";
  const auto refused = listener::open(where, "ipc://" + at + "/other", with);
  if (refused || refused.error().text().find("other.pcap") == std::string::npos) return 7;
  std::filesystem::remove(at + "/rest");
  return listener::open(where, "ipc://" + at + "/other", with) ? 0 : 8;
}

TEST_P(capture_file_on_disk, ends_where_that_is_full_and_says_so_once_while_the_channels_lose_nothing) {
  const int status = in_child([&] { return capture_until_the_disk_is_full(dir.path().string()); });
  if (status == k_no_namespaces) GTEST_SKIP() << "this machine does not allow namespaces (user, mount) to this user";
  EXPECT_EQ(status, 0) << "the number of the step that failed";
}

TEST_P(capture_file_on_disk, is_kept_from_others) {
  const std::string path = file("server");
  { const os::unique_fd made(::open(path.c_str(), O_RDWR | O_CREAT, 0644)); }
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  listen(path, url());
  struct stat about {};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600u);
}

TEST_P(capture_file_on_disk, is_refused_for_shared_memory_with_a_reason) {
  options with;
  with.capture = file("ring");
  const auto made = listener::open(where, "shm://captured", with);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error(), errc::unsupported);
  EXPECT_THAT(made.error().text(), HasSubstr("use another transport"));
}

TEST_P(capture_file_on_disk, tells_a_connecting_end_why_it_cannot_be_written) {
  listen("", url());
  options with;
  with.capture = dir.file("no/such/place");
  with.reconnect = false;
  auto made = channel::open(where, listening.url(), with);
  ASSERT_TRUE(made);
  std::string why;
  made->on_connect_failure([&](const error& failed) { why = failed.text(); });
  ASSERT_TRUE(run_until(
      io, [&] { return !why.empty(); }, "the failure"));
  EXPECT_THAT(why, HasSubstr("no/such/place"));
}

}  // namespace
}  // namespace ferry::test
