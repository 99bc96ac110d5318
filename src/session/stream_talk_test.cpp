// What a session says on a stream, and when it owes an acknowledgement; how frames lie in a buffer that is not its own.
#include "session/stream_talk.hpp"

#include <gtest/gtest.h>

#include <string>

#include "testing/session_world.hpp"

namespace ferry::test {
namespace {

using kind = codec::session_frame_kind;

/// A side that sends, and a talk over its ring. The buffer has something behind it that nobody may touch.
struct talking_side {
  explicit talking_side(std::size_t buffer_bytes)
      : session(session::persistent_session::recover(memory.file(0), memory.parts(0), session::durability::process)
                    .value()),
        whole(buffer_bytes + k_behind, std::byte{0xaa}),
        size(buffer_bytes) {
    EXPECT_TRUE(talk.start(session->output().data(), session->output().line(), 0, 0));
  }
  ~talking_side() {
    for (std::size_t i = size; i < whole.size(); ++i) EXPECT_EQ(whole[i], std::byte{0xaa}) << "behind the buffer";
  }
  talking_side(const talking_side&) = delete;
  talking_side& operator=(const talking_side&) = delete;

  [[nodiscard]] mutable_bytes buffer() { return std::span(whole).first(size); }
  void send(const std::string& text) {
    ASSERT_TRUE(session->send({as_bytes(text), message_kind::binary, 0}));
    session->commit();
  }
  /// All that is to be written now, and how the frames in it read: "kind:length@ack".
  [[nodiscard]] std::string write_all() {
    std::vector<std::byte> out;
    while (!talk.idle() || talk.records_wait()) {
      EXPECT_TRUE(talk.fill(buffer(), consumed));
      for (const bytes part : talk.unwritten(buffer())) out.insert(out.end(), part.begin(), part.end());
      const auto parts = talk.unwritten(buffer());
      talk.written(parts[0].size() + parts[1].size());
    }
    return read(out);
  }
  [[nodiscard]] static std::string read(bytes in) {
    std::string all;
    const codec::session_framing framing(k_world_ring);
    while (!in.empty()) {
      const auto frame = framing.next(in);
      if (!frame || frame->consumed == 0) return all + " cut";
      all += (all.empty() ? "" : " ") + std::to_string(static_cast<int>(frame->message.what)) + ":" +
             std::to_string(frame->message.view.payload.size()) + "@" + std::to_string(frame->message.ack);
      in = in.subspan(frame->consumed);
    }
    return all;
  }
  [[nodiscard]] result<void> hear(kind what, std::uint64_t ack) { return talk.hear({what, ack, {}}); }

  static constexpr std::size_t k_behind = 64;
  session_memory memory;
  std::unique_ptr<session::persistent_session> session;
  session::stream_talk talk;
  std::vector<std::byte> whole;
  std::size_t size;
  std::uint64_t consumed = 0;
};

TEST(stream_talk, sends_small_messages_from_the_buffer_and_large_ones_from_where_they_lie) {
  talking_side one(128);
  one.send("small");
  one.send(std::string().append(500, 'l'));
  one.send("");
  one.consumed = 3;
  ASSERT_TRUE(one.talk.fill(one.buffer(), 3));
  EXPECT_EQ(one.talk.unwritten(one.buffer())[0].size(), 21u) << "the large one begins a buffer of its own";
  EXPECT_EQ(one.write_all(), "0:5@3 0:500@3 0:0@3");
  EXPECT_TRUE(one.talk.idle());
  EXPECT_EQ(one.talk.untold(3), 0u);
}

TEST(stream_talk, goes_on_wherever_a_write_was_cut) {
  for (std::size_t cut = 1; cut < 300; ++cut) {
    talking_side one(96);
    for (const std::size_t size : {3u, 200u, 40u}) one.send(std::string().append(size, 'x'));
    std::vector<std::byte> out;
    while (one.talk.records_wait() || !one.talk.idle()) {
      ASSERT_TRUE(one.talk.fill(one.buffer(), 0));
      std::size_t left = cut;
      for (const bytes part : one.talk.unwritten(one.buffer())) {
        const bytes taken = part.first(std::min(left, part.size()));
        out.insert(out.end(), taken.begin(), taken.end());
        left -= taken.size();
      }
      one.talk.written(cut - left);
    }
    ASSERT_EQ(talking_side::read(out), "0:3@0 0:200@0 0:40@0") << "cut after " << cut;
  }
}

TEST(stream_talk, keeps_within_a_buffer_that_is_full_to_the_last_header_whatever_is_said_then) {
  for (std::size_t last = 0; last < 48; ++last) {
    talking_side one(160);
    one.send(std::string().append(48, 'a'));
    one.send(std::string().append(last, 'b'));
    for (int i = 0; i < 3; ++i) one.send("c");
    // Nothing is taken by the kernel, and the owner comes again and again.
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(one.talk.fill(one.buffer(), 0));
      if (one.talk.takes_header(one.buffer())) one.talk.say(kind::question, one.buffer(), 0);
    }
    const auto all = one.write_all();
    EXPECT_TRUE(all.starts_with("0:48@0 0:" + std::to_string(last) + "@0")) << all;
    EXPECT_EQ(all.find("cut"), std::string::npos) << all;
  }
}

TEST(stream_talk, owes_an_acknowledgement_when_it_was_asked_or_much_was_consumed_or_the_peer_has_ended) {
  talking_side one(128);
  EXPECT_FALSE(one.talk.owes(63));
  EXPECT_TRUE(one.talk.owes(64));
  one.talk.took(32u << 10);
  EXPECT_TRUE(one.talk.owes(1));
  EXPECT_FALSE(one.talk.owes(0)) << "nothing is new";
  one.talk.say(kind::acknowledgement, one.buffer(), 1);
  EXPECT_FALSE(one.talk.owes(2)) << "it counts from the last one";
  ASSERT_TRUE(one.hear(kind::question, 0));
  EXPECT_TRUE(one.talk.owes(1));
  one.talk.say(kind::acknowledgement, one.buffer(), 1);
  EXPECT_FALSE(one.talk.owes(1));
  ASSERT_TRUE(one.hear(kind::end, 0));
  EXPECT_FALSE(one.talk.owes(1));
  EXPECT_TRUE(one.talk.owes(2));
  EXPECT_EQ(one.write_all(), "2:0@1 2:0@1");
}

TEST(stream_talk, hears_no_message_behind_the_peers_end_and_no_lie_about_what_was_sent) {
  talking_side one(128);
  EXPECT_EQ(one.hear(kind::acknowledgement, 1).error(), errc::protocol);
  one.send("x");
  (void)one.write_all();
  EXPECT_TRUE(one.hear(kind::binary, 1));
  EXPECT_EQ(one.talk.acknowledged(), 1u);
  EXPECT_TRUE(one.hear(kind::end, 1));
  EXPECT_TRUE(one.hear(kind::acknowledgement, 1));
  for (const kind what : {kind::binary, kind::text, kind::end}) EXPECT_EQ(one.hear(what, 1).error(), errc::protocol);
}

}  // namespace
}  // namespace ferry::test
