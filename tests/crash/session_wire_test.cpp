// Every byte that a persistent session says over a stream, as docs/sessions.md has it, while fresh memory is full of
// something else.
#include <malloc.h>

#include "os/barrier.hpp"
#include "raw_session_peer.hpp"
#include "session_crash.hpp"

namespace ferry::test {
namespace {

// What a malloc() gives has these bytes, so that what nobody wrote shows.
constexpr int k_poison = 0xa5;

std::string le(std::uint64_t value, int size) {
  std::string made;
  for (int i = 0; i < size; ++i) made.push_back(static_cast<char>(value >> (8 * i)));
  return made;
}
std::string padded(std::string text, std::size_t size) {
  text.resize(size, '\0');
  return text;
}

struct numbers {
  std::uint64_t session, epoch, ack, start, end;
};
std::string login_bytes(std::uint32_t outcome, const numbers& n, const std::string& own, const std::string& peer) {
  std::string all("FERRYLGN");
  all.append(le(1, 4)).append(le(outcome, 4)).append(le(n.session, 8)).append(le(n.epoch, 8));
  all.append(le(n.ack, 8)).append(le(n.start, 8)).append(le(n.end, 8)).append(le(os::barriers_work() ? 1 : 0, 8));
  return all.append(padded(own, 64)).append(padded(peer, 64)).append(padded("", 64));
}
std::string frame_bytes(std::uint8_t what, std::uint64_t ack, const std::string& payload = "", std::uint16_t type = 0) {
  std::string all = le(payload.size(), 4);
  all.append(le(type, 2)).append(le(what, 1)).append(le(0, 1)).append(le(ack, 8));
  return all.append(payload);
}

class a_session_on_the_wire : public session_crash {
 protected:
  a_session_on_the_wire() { ::mallopt(M_PERTURB, k_poison); }
  ~a_session_on_the_wire() override { ::mallopt(M_PERTURB, 0); }
  /// Exactly these bytes come next.
  [[nodiscard]] ::testing::AssertionResult comes(const raw_unix& at, const std::string& wanted) {
    std::string got;
    const auto enough = [&] {
      got += at.read_some(wanted.size() - got.size());
      return got.size() == wanted.size() || at.ended();
    };
    if (auto waited = turn(enough, "bytes"); !waited) return waited;
    if (got == wanted) return ::testing::AssertionSuccess();
    const auto differs = std::mismatch(got.begin(), got.end(), wanted.begin()).first - got.begin();
    return ::testing::AssertionFailure() << got.size() << " bytes, of which number " << differs << " differs";
  }
};

TEST_F(a_session_on_the_wire, of_a_listening_end_has_no_byte_that_the_page_does_not_have) {
  listener at = listener::open(where, url("ipc", "server")).value();
  channel one;
  at.on_channel([&](channel came) {
    one = std::move(came);
    one.on_message([&](const message_view& m) { ASSERT_TRUE(one.try_send(m.payload, m.kind, m.type)); });
  });
  const auto raw = raw_unix::connect(dir.file("meeting.sock"));
  raw.send(login_bytes(0, {4711, 3, 0, 0, 4}, "mallory", "server"));
  ASSERT_TRUE(comes(raw, login_bytes(2, {4711, 3, 0, 0, 0}, "server", "mallory")));
  raw.send(frame_bytes(1, 0, "hello", 0x0102));
  ASSERT_TRUE(comes(raw, frame_bytes(1, 1, "hello", 0x0102)));
  raw.send(frame_bytes(0, 1));
  ASSERT_TRUE(comes(raw, frame_bytes(0, 2)));
  raw.send(frame_bytes(3, 2));
  ASSERT_TRUE(comes(raw, frame_bytes(2, 2)));
  const std::string large(16000, '\x5a');
  raw.send(frame_bytes(0, 2, large));
  ASSERT_TRUE(comes(raw, frame_bytes(0, 3, large)));
  raw.send(frame_bytes(0, 3, "odd"));
  ASSERT_TRUE(comes(raw, frame_bytes(0, 4, "odd")));
  raw.send(frame_bytes(4, 4));
  ASSERT_TRUE(comes(raw, frame_bytes(4, 4)));
  EXPECT_TRUE(turn([&] { return raw.ended(); }, "the end"));
}

TEST_F(a_session_on_the_wire, of_a_connecting_end_has_no_byte_that_the_page_does_not_have) {
  const auto at = raw_unix::listen(dir.file("meeting.sock"));
  channel to = channel::open(where, url("ipc", "client")).value();
  std::vector<std::string> received;
  to.on_message([&](const message_view& m) { received.emplace_back(m.text()); });
  ASSERT_TRUE(to.try_send("queued"));
  ASSERT_TRUE(turn([&] { return at.ready(); }, "a connection"));
  auto raw = at.accept();
  std::string login;
  ASSERT_TRUE(turn([&] { return (login += raw.read_some(256 - login.size())).size() == 256; }, "a login"));
  std::uint64_t session = 0;
  std::memcpy(&session, login.data() + 16, sizeof session);
  EXPECT_NE(session, 0u);
  EXPECT_EQ(login, login_bytes(0, {session, 1, 0, 0, 1}, "client", ""));
  raw.send(login_bytes(2, {session, 1, 0, 0, 1}, "server", "client"));
  ASSERT_TRUE(comes(raw, frame_bytes(1, 0, "queued")));
  raw.send(frame_bytes(2, 1) + frame_bytes(1, 1, "well"));
  ASSERT_TRUE(comes(raw, frame_bytes(2, 1)));
  EXPECT_EQ(received, std::vector<std::string>{"well"});
  // Not acknowledged when the connection goes: the same bytes come again, behind a login with the next number.
  ASSERT_TRUE(to.try_send(as_bytes("again"), message_kind::binary, 7));
  ASSERT_TRUE(comes(raw, frame_bytes(0, 1, "again", 7)));
  raw.close();
  ASSERT_TRUE(turn([&] { return at.ready(); }, "the next connection"));
  raw = at.accept();
  ASSERT_TRUE(comes(raw, login_bytes(0, {session, 2, 1, 1, 2}, "client", "server")));
  raw.send(login_bytes(1, {session, 2, 1, 1, 1}, "server", "client"));
  ASSERT_TRUE(comes(raw, frame_bytes(0, 1, "again", 7)));
  to.half_close();
  raw.send(frame_bytes(2, 2));
  ASSERT_TRUE(comes(raw, frame_bytes(4, 1)));
}

}  // namespace
}  // namespace ferry::test
