// A WebSocket stream over a stream that gives and takes bytes as a test wants: cut anywhere, in pieces of any size,
// breaking at any operation.
#include "net/ws_stream.hpp"

#include <ferry/options.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "codec/parts_framing.hpp"
#include "net/residents.hpp"
#include "net/ws_settings.hpp"
#include "testing/watchdog.hpp"
#include "testing/websocket_by_hand.hpp"

namespace ferry::test {
namespace {

/// Bytes come in the pieces that were given to it, one for each read.
class scripted_stream final : public stream {
 public:
  void attach(stream_events& events, std::shared_ptr<void> owner) override {
    events_ = &events;
    owner_ = std::move(owner);
  }
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override {
    if (++operations == fail_at) broken = error(errc::reset, "as the test wants");
    if (broken) return *broken;
    ++reads;
    if (pieces.empty()) return ended ? errc::end_of_stream : errc::would_block;
    auto& first = pieces.front();
    const auto n = std::min(first.size() - taken_, into.size());
    std::copy_n(as_bytes(first).begin() + static_cast<std::ptrdiff_t>(taken_), n, into.begin());
    taken_ += n;
    if (taken_ == first.size()) {
      pieces.pop_front();
      taken_ = 0;
    }
    return n;
  }
  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override {
    if (++operations == fail_at) broken = error(errc::reset, "as the test wants");
    if (broken) return *broken;
    if (left == 0) return errc::would_block;
    std::size_t room = std::min(most_per_write, left);
    std::size_t done = 0;
    for (const bytes part : from) {
      const auto n = std::min(part.size(), room);
      written.append(as_text(part.first(n)));
      done += n;
      room -= n;
    }
    left -= done;
    return done;
  }
  void async_read(mutable_bytes) override {}  // by a stream that lingers
  void async_wait_writable() override { waits_for_room = true; }
  /// There is room again, for whoever waits.
  void make_room() {
    while (left != 0 && std::exchange(waits_for_room, false) && events_ != nullptr) events_->on_writable();
  }
  result<void> shutdown_write() override {
    told_end = true;
    return {};
  }
  void close() noexcept override {
    events_ = nullptr;
    owner_.reset();
  }
  [[nodiscard]] peer_info peer() const override { return {}; }

  std::deque<std::string> pieces;  // none of them empty
  bool ended = false;              // behind the pieces
  std::size_t most_per_write = SIZE_MAX;
  std::size_t left = SIZE_MAX;  // bytes that are taken before more room is made
  std::uint64_t operations = 0, fail_at = 0, reads = 0;
  std::optional<error> broken;
  std::string written;
  bool told_end = false, waits_for_room = false;

 private:
  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;
  std::size_t taken_ = 0;
};

/// The frames of a server, as lines: "text hello", "pong x", "close 1002".
std::vector<std::string> frames_of(std::string_view wire) {
  std::vector<std::string> lines;
  while (wire.size() >= 2) {
    const int opcode = wire[0] & 0xf;
    const auto number = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(wire[at])); };
    std::size_t head = 2;
    std::size_t size = number(1);
    if (size == 126) {
      head = 4;
      size = number(2) << 8 | number(3);
    }
    if (size == 127 || wire.size() < head + size) return lines.push_back("a frame that is cut off"), lines;
    const std::string payload(wire.substr(head, size));
    if (opcode == 8) {
      lines.push_back(payload.empty() ? "close"
                                      : "close " + std::to_string(static_cast<unsigned char>(payload[0]) << 8 |
                                                                  static_cast<unsigned char>(payload[1])));
    } else {
      lines.push_back((opcode == 10 ? "pong " : "frame ") + payload);
    }
    wire.remove_prefix(head + size);
  }
  return lines;
}

class ws_stream_bytes : public ::testing::Test {
 protected:
  void begin(std::size_t max_message = 1 << 20) {
    options with;
    with.max_message = max_message;
    begin(with);
  }
  void begin(const options& with) {
    end();
    below = std::make_shared<scripted_stream>();
    auto rules = net::ws_rules_of({boost::asio::use_service<net::socket_poll>(io), pool, home}, with,
                                  codec::websocket_role::server, false);
    rules.mask = false;
    tested = std::make_shared<net::ws_stream>(below, std::make_shared<const net::ws_rules>(rules));
    tested->start_raw();
    tested->attach(nobody, nullptr);
    heard.clear();
    bytes_heard.clear();
    fault.reset();
  }
  ~ws_stream_bytes() override { end(); }
  /// Also of a stream that would linger.
  void end() {
    if (tested) tested->close();
    home->abandon_all();
  }

  /// Reads until there is nothing, in pieces of `room`; and ends our direction behind the peer's.
  void read_all(std::size_t room = 4096) {
    std::vector<std::byte> into(room);
    for (;;) {
      const auto n = tested->try_read(into);
      below->make_room();
      if (!n) {
        // One read below at a time: what is left there would wake whoever waits.
        if (n.error() == errc::would_block && (!below->pieces.empty() || below->ended)) continue;
        if (n.error() != errc::would_block && !fault) {
          fault = n.error();
          (void)tested->shutdown_write();
          below->make_room();
        }
        break;
      }
      bytes_heard.insert(bytes_heard.end(), into.begin(), into.begin() + static_cast<std::ptrdiff_t>(*n));
    }
    std::size_t at = 0;
    for (;;) {
      const auto frame = codec::parts_framing(SIZE_MAX).next(bytes(bytes_heard).subspan(at));
      ASSERT_TRUE(frame);
      if (frame->consumed == 0) break;
      at += frame->consumed;
      if (frame->message.first) open = frame->message.kind == message_kind::text ? "text " : "binary ";
      open += frame->message.text();
      if (!frame->message.more) heard.push_back(open);
    }
    bytes_heard.erase(bytes_heard.begin(), bytes_heard.begin() + static_cast<std::ptrdiff_t>(at));
  }

  /// What must be heard and answered of a conversation, whatever the cuts were.
  void expect(const conversation& c) {
    std::vector<std::string> messages, answers;
    for (const auto& line : c.heard) {
      if (line.starts_with("ping "))
        answers.push_back("pong " + line.substr(5));
      else if (line.starts_with("close ") || line.starts_with("fault "))
        answers.push_back(line.substr(6, 4) == "1005" ? "close" : "close " + line.substr(6, 4));
      else if (!line.starts_with("pong "))
        messages.push_back(line);
    }
    EXPECT_EQ(heard, messages);
    EXPECT_EQ(frames_of(below->written), answers);
    EXPECT_EQ(fault.has_value(), !answers.empty() && answers.back().starts_with("close"));
  }
  static std::string wire_of(const conversation& c) {
    std::string wire;
    for (const auto& one : c.frames) wire += websocket_frame(one.first, one.payload, plays::client);
    return wire;
  }
  static std::vector<conversation> short_ones() {
    std::vector<conversation> all;
    for (const auto& some : {conversations::fragmentation(), conversations::pings_and_pongs(), conversations::closing(),
                             conversations::text_is_utf8(), conversations::reserved_opcodes()})
      for (const auto& one : some)
        if (wire_of(one).size() < 400) all.push_back(one);
    return all;
  }

  struct nobody_waits final : stream_events {
    void on_read(result<std::size_t>) override { ADD_FAILURE() << "nobody waits"; }
    void on_writable() override { ADD_FAILURE() << "nobody waits"; }
  };
  nobody_waits nobody;
  boost::asio::io_context io;
  std::shared_ptr<detail::residents> home = std::make_shared<detail::residents>();
  std::shared_ptr<buffer_pool> pool = std::make_shared<buffer_pool>();
  std::shared_ptr<scripted_stream> below;
  std::shared_ptr<net::ws_stream> tested;
  std::vector<std::byte> bytes_heard;
  std::string open;
  std::vector<std::string> heard;
  std::optional<error> fault;
};

TEST_F(ws_stream_bytes, are_heard_alike_at_every_cut_of_a_conversation) {
  const auto all = short_ones();
  ASSERT_GT(all.size(), 80u);
  for (const auto& c : all) {
    const std::string wire = wire_of(c);
    for (std::size_t cut = 1; cut < wire.size(); ++cut) {
      SCOPED_TRACE(c.name + ", cut at " + std::to_string(cut));
      begin();
      below->pieces = {wire.substr(0, cut)};
      read_all();
      below->pieces.push_back(wire.substr(cut));
      read_all();
      expect(c);
      if (HasFailure()) return;
    }
  }
}

TEST_F(ws_stream_bytes, are_heard_alike_one_by_one_and_answered_one_by_one) {
  for (const auto& c : short_ones()) {
    SCOPED_TRACE(c.name);
    begin();
    below->most_per_write = 1;
    for (const char byte : wire_of(c)) {
      below->pieces.emplace_back(1, byte);
      read_all(1);
    }
    expect(c);
  }
}

TEST_F(ws_stream_bytes, that_are_cut_off_anywhere_are_no_end_in_order) {
  const std::string wire = websocket_frame(k_text, "he", plays::client) + websocket_frame(k_ping, "x", plays::client) +
                           websocket_frame(k_fin, "llo", plays::client);
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    SCOPED_TRACE(cut);
    begin();
    if (cut != 0) below->pieces = {wire.substr(0, cut)};
    below->ended = true;
    read_all();
    ASSERT_TRUE(fault);
    EXPECT_EQ(*fault, cut == 0 || cut == wire.size() ? errc::reset : errc::truncated) << fault->text();
    EXPECT_EQ(heard.size(), cut == wire.size() ? 1u : 0u);
  }
}

TEST_F(ws_stream_bytes, break_at_every_operation_with_that_error_and_stay_broken) {
  const std::string wire = websocket_frame(k_fin | k_text, "hello", plays::client) +
                           websocket_frame(k_ping, "x", plays::client) +
                           websocket_frame(k_fin | k_binary, repeated(300), plays::client) +
                           websocket_frame(k_close, close_payload(1000), plays::client);
  std::uint64_t all = 0;
  for (std::uint64_t fail_at = 0; fail_at <= all; ++fail_at) {
    SCOPED_TRACE(fail_at);
    begin();
    below->fail_at = fail_at;
    below->pieces = {wire.substr(0, 8), wire.substr(8, 20), wire.substr(28)};
    const std::string answer = "answer";
    std::byte header[codec::parts_framing::k_max_header];
    const auto size = codec::parts_framing::encode_header(header, {as_bytes(answer), message_kind::text});
    const bytes parts[] = {bytes(header).first(size), as_bytes(answer)};
    const auto sent = tested->try_write(parts);
    EXPECT_EQ(sent.has_value(), fail_at != 1);
    read_all();
    if (fail_at == 0) {
      all = below->operations;
      EXPECT_EQ(*fault, errc::end_of_stream);
      EXPECT_EQ(frames_of(below->written), (std::vector<std::string>{"frame answer", "pong x", "close 1000"}));
      EXPECT_TRUE(below->told_end);
      continue;
    }
    const std::string before = below->written;
    read_all();
    std::byte byte{};
    EXPECT_FALSE(tested->try_read({&byte, 1})) << "it has ended";
    EXPECT_FALSE(tested->try_write(parts)) << "it cannot be written to";
    EXPECT_EQ(below->written, before);
    EXPECT_LE(heard.size(), 2u);
  }
  EXPECT_GE(all, 5u);
}

// What a machine spends on them shows in the reads below and in the buffers, not in a clock.
TEST_F(ws_stream_bytes, by_the_million_in_frames_of_one_byte_cost_no_more_reads_and_no_more_memory) {
  constexpr std::size_t k_frames = 1'000'000;
  constexpr std::size_t k_in_a_piece = 50'000;
  std::string piece;
  for (std::size_t i = 0; i < k_in_a_piece; ++i) piece += websocket_frame(k_fin | k_binary, "x", plays::client);
  begin();
  std::size_t messages = 0;
  std::uint64_t most = 0;
  for (std::size_t i = 0; i < k_frames / k_in_a_piece; ++i) {
    below->pieces.push_back(piece);
    read_all(64u << 10);
    messages += heard.size();
    heard.clear();
    most = std::max<std::uint64_t>(most, pool->stats().bytes_lent);
  }
  EXPECT_EQ(messages, k_frames);
  EXPECT_FALSE(fault);
  EXPECT_LT(below->reads, k_frames / 100);
  EXPECT_LT(most, 1u << 20);
  EXPECT_EQ(below->written, "");
}

TEST_F(ws_stream_bytes, of_a_message_in_a_million_fragments_are_kept_once) {
  begin(2'000'000);
  std::string wire = websocket_frame(k_binary, "x", plays::client);
  const std::string middle = websocket_frame(0, "x", plays::client);
  std::uint64_t most = 0;
  for (int i = 1; i < 1'000'000; ++i) {
    wire += i == 999'999 ? websocket_frame(k_fin, "x", plays::client) : middle;
    if (wire.size() < 300'000 && i != 999'999) continue;
    below->pieces.push_back(std::exchange(wire, {}));
    read_all(64u << 10);
    most = std::max<std::uint64_t>(most, pool->stats().bytes_lent);
  }
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_EQ(heard[0].size(), std::string("binary ").size() + 1'000'000);
  EXPECT_LT(most, 8u << 20);
}

// Handlers are counted, which a stream that spins runs without end.
TEST_F(ws_stream_bytes, cost_a_look_for_each_ping_timeout_once_we_have_ended_and_the_peer_has_not) {
  options with;
  with.ping_interval = with.ping_timeout = std::chrono::milliseconds(5);
  begin(with);
  ASSERT_TRUE(tested->shutdown_write());
  const auto handlers = io.run_for(std::chrono::milliseconds(100));
  EXPECT_GE(handlers, 1u);
  EXPECT_LE(handlers, 50u);
  EXPECT_EQ(frames_of(below->written), (std::vector<std::string>{"close 1000"})) << "no ping behind it";
}

struct hears_the_end final : stream_events, net::bare_reader {
  void on_read(result<std::size_t> outcome) override { reason = outcome ? error() : outcome.error(); }
  void on_readable() override {}
  void on_writable() override {}
  error reason;
};

TEST_F(ws_stream_bytes, that_the_peer_takes_slowly_are_a_sign_of_its_life_while_a_ping_waits_behind_them) {
  options with;
  with.ping_interval = with.ping_timeout = std::chrono::milliseconds(5);
  with.ping_misses = 2;
  begin(with);
  hears_the_end hears;
  tested->attach(hears, nullptr);
  ASSERT_TRUE(tested->async_wait_readable(hears));
  const std::string payload = repeated(5000);
  std::byte header[codec::parts_framing::k_max_header];
  const auto size = codec::parts_framing::encode_header(header, {as_bytes(payload), message_kind::text});
  const bytes parts[] = {bytes(header).first(size), as_bytes(payload)};
  below->left = 10;
  ASSERT_TRUE(tested->try_write(parts));
  for (int i = 0; i < 100; ++i) {
    io.run_one_for(std::chrono::milliseconds(2));  // one look of the heartbeat at most
    ASSERT_EQ(hears.reason.reason(), errc{}) << hears.reason.text();
    below->left = 10;
    below->make_room();
  }
  EXPECT_EQ(below->written.size(), 1010u);
  ASSERT_TRUE(run_until(
      io, [&] { return hears.reason == errc::timeout; }, "the end, as nothing more is taken"));
}

/// The same, of who is handed messages instead of bytes.
class ws_stream_messages : public ws_stream_bytes, protected net::message_taker {
 protected:
  void take_all() {
    for (;;) {
      const auto taken = tested->take(*this);
      const auto came = taken ? tested->fill() : result<std::size_t>(taken.error());
      below->make_room();
      if (came) continue;
      if (came.error() == errc::would_block && (!below->pieces.empty() || below->ended)) continue;
      if (came.error() != errc::would_block && !fault) {
        fault = came.error();
        (void)tested->shutdown_write();
        below->make_room();
      }
      return;
    }
  }
  [[nodiscard]] bool take(const message_view& m) override {
    if (heard.size() == refuses_behind) {
      refuses_behind.reset();
      return false;
    }
    if (m.first) open = m.kind == message_kind::text ? "text " : "binary ";
    if (then) then();
    if (closes) tested->close();
    open += m.text();
    if (!m.more) heard.push_back(open);
    return true;
  }
  std::optional<std::size_t> refuses_behind;  // so many messages, once
  bool closes = false;
  std::function<void()> then;  // with each message
};

TEST_F(ws_stream_messages, are_heard_alike_at_every_cut_of_a_conversation) {
  for (const auto& c : short_ones()) {
    const std::string wire = wire_of(c);
    for (std::size_t cut = 1; cut < wire.size(); ++cut) {
      SCOPED_TRACE(c.name + ", cut at " + std::to_string(cut));
      begin();
      below->pieces = {wire.substr(0, cut)};
      take_all();
      below->pieces.push_back(wire.substr(cut));
      take_all();
      expect(c);
      if (HasFailure()) return;
    }
  }
}

TEST_F(ws_stream_messages, that_are_not_taken_come_again_before_what_follows) {
  for (const std::size_t taken : {0u, 1u, 2u}) {
    SCOPED_TRACE(taken);
    begin();
    below->pieces = {websocket_frame(k_fin | k_text, "one", plays::client) +
                     websocket_frame(k_fin | k_binary, "", plays::client) +
                     websocket_frame(k_fin | k_text, "three", plays::client)};
    ASSERT_TRUE(tested->fill());
    refuses_behind = taken;
    EXPECT_TRUE(tested->take(*this));
    EXPECT_EQ(heard.size(), taken);
    EXPECT_GT(tested->unread(), 0u);
    EXPECT_TRUE(tested->take(*this));
    EXPECT_EQ(heard, (std::vector<std::string>{"text one", "binary ", "text three"}));
    EXPECT_EQ(tested->unread(), 0u);
  }
}

TEST_F(ws_stream_messages, are_handed_on_before_the_fault_behind_them_is_told_and_answered) {
  begin();
  below->pieces = {websocket_frame(k_fin | k_text, "good", plays::client) +
                   websocket_frame(k_fin | 3, "bad", plays::client)};
  ASSERT_TRUE(tested->fill());
  EXPECT_TRUE(tested->take(*this));
  EXPECT_EQ(heard, (std::vector<std::string>{"text good"}));
  EXPECT_EQ(below->written, "") << "answers come first";
  EXPECT_EQ(tested->fill().error(), errc::protocol);
  EXPECT_EQ(frames_of(below->written), (std::vector<std::string>{"close 1002"}));
  EXPECT_EQ(tested->take(*this).error(), errc::protocol);
}

TEST_F(ws_stream_messages, are_answered_when_they_have_been_dealt_with_and_before_all_else_that_is_said) {
  const auto answer = [this] {
    EXPECT_EQ(tested->keep_answer({as_bytes("answer")}), codec::parts_framing::k_max_header + 6);
    EXPECT_EQ(below->written, "");
  };
  std::array<std::byte, codec::parts_framing::k_max_header> header{};
  const std::array<bytes, 2> more{
      bytes(header).first(codec::parts_framing::encode_header(header.data(), {as_bytes("more")})), as_bytes("more")};
  const std::vector<std::pair<std::function<void()>, std::vector<std::string>>> and_then{
      {[] {}, {"frame answer"}},
      {[&] { EXPECT_TRUE(tested->try_write(more)); }, {"frame answer", "frame more"}},
      {[&] { EXPECT_EQ(tested->keep_answer({as_bytes("another")}), 0u); }, {"frame answer"}},
      {[&] { EXPECT_TRUE(tested->shutdown_write()); }, {"frame answer", "close 1000"}},
      {[&] { tested->close(); }, {"frame answer", "close 1001"}},
  };
  for (const auto& [what, said] : and_then) {
    begin();
    const auto kept = tested;
    const auto to = below;
    then = [&, &act = what] { answer(), act(); };
    below->pieces = {websocket_frame(k_fin | k_text, "question", plays::client)};
    ASSERT_TRUE(tested->fill());
    EXPECT_TRUE(kept->take(*this));
    EXPECT_EQ(frames_of(to->written), said);
    EXPECT_EQ(kept->keep_answer({as_bytes("late")}), 0u) << "outside take()";
  }
}

TEST_F(ws_stream_messages, have_answers_that_are_sent_on_as_the_peer_takes_them) {
  for (std::size_t room = 0; room <= 8; ++room) {
    begin();
    then = [this] { EXPECT_NE(tested->keep_answer({as_bytes("answer")}), 0u); };
    below->left = room;
    below->pieces = {websocket_frame(k_fin | k_text, "question", plays::client)};
    ASSERT_TRUE(tested->fill());
    EXPECT_TRUE(tested->take(*this));
    EXPECT_EQ(below->written.size(), room);
    below->left = SIZE_MAX;
    below->make_room();
    EXPECT_EQ(frames_of(below->written), (std::vector<std::string>{"frame answer"}));
  }
}

TEST_F(ws_stream_messages, tell_why_an_answer_could_not_be_sent) {
  begin();
  then = [this] {
    EXPECT_NE(tested->keep_answer({as_bytes("answer")}), 0u);
    below->broken = error(errc::reset, "as the test wants");
  };
  below->pieces = {websocket_frame(k_fin | k_text, "question", plays::client)};
  ASSERT_TRUE(tested->fill());
  EXPECT_EQ(tested->take(*this).error(), errc::reset);
  EXPECT_EQ(heard.size(), 1u);
  const bytes none;
  EXPECT_EQ(tested->try_write(std::span(&none, 1)).error(), errc::reset);
}

TEST_F(ws_stream_messages, stay_where_they_are_while_their_taker_closes_the_stream) {
  begin();
  closes = true;
  const std::string payload = repeated(100'000);
  below->pieces = {websocket_frame(k_fin | k_text, payload, plays::client) +
                   websocket_frame(k_fin | k_text, "not wanted any more", plays::client)};
  while (heard.empty()) {
    ASSERT_TRUE(tested->fill());
    ASSERT_TRUE(tested->take(*this));
  }
  EXPECT_EQ(heard, (std::vector<std::string>{"text " + payload}));
  EXPECT_TRUE(tested->take(*this));
  EXPECT_EQ(heard.size(), 1u);
}

}  // namespace
}  // namespace ferry::test
