// Every byte that a persistent session says over a stream, and beside shared memory and in it, as docs/sessions.md and
// docs/shared-memory.md have it, while fresh memory is full of something else.
#include <ferry/session.hpp>

#include <malloc.h>

#include "os/barrier.hpp"
#include "raw_ring_peer.hpp"
#include "raw_session_peer.hpp"
#include "session/persistent_session.hpp"
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

// Of a ring of 64 KiB.
constexpr std::uint64_t k_largest = 16u << 10;

struct numbers {
  std::uint64_t session, epoch, ack, start, end;
};
std::string login_bytes(std::uint32_t outcome, const numbers& n, const std::string& own, const std::string& peer,
                        const std::string& data = "") {
  std::string all("FERRYLGN");
  all.append(le(1, 4)).append(le(outcome, 4)).append(le(n.session, 8)).append(le(n.epoch, 8));
  all.append(le(n.ack, 8)).append(le(n.start, 8)).append(le(n.end, 8)).append(le(os::barriers_work() ? 1 : 0, 4));
  all.append(le(k_largest, 4));
  return all.append(padded(own, 64)).append(padded(peer, 64)).append(padded(data, 63)).append(le(data.size(), 1));
}
/// An answer that does not let in; it says nothing but why.
std::string refusal_bytes(std::uint32_t outcome, const numbers& n, const std::string& peer, const std::string& why) {
  std::string all = login_bytes(outcome, n, "server", peer);
  all.replace(56, 8, le(0, 8));
  return all.replace(192, 64, padded(why.substr(0, 63), 64));
}
/// A record of the ring: its word, a tag if it has a type, its checksum, the payload, and zeros up to 8 bytes.
std::string record_bytes(std::uint64_t number, bool is_text, const std::string& payload, std::uint16_t type = 0) {
  const std::string tag = type == 0 ? "" : le(type, 2) + le(0, 2) + le(payload.size(), 4);
  const std::uint64_t word = 1ull << 63 | number << 32 | (type != 0 ? 1ull << 30 : 0) | (is_text ? 1ull << 29 : 0) |
                             (tag.size() + 8 + payload.size());
  session::checksum sum;
  sum.add(word, type == 0 ? 0 : type | payload.size() << 32);
  sum.add(as_bytes(payload));
  const std::string all = le(word, 8) + tag + le(sum.value(), 8) + payload;
  return padded(all, (all.size() + 7) / 8 * 8);
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

/// A side of a session over shared memory, as its peer has it in reach: its socket, and its ring.
class a_session_in_memory : public a_session_on_the_wire {
 protected:
  [[nodiscard]] std::string where_they_meet() const { return dir.file("meeting.shm"); }
  void say(const raw_unix& to, const std::string& login) const {
    ASSERT_TRUE(os::send_with_fd(to.fd(), as_bytes(login), mine.fd.get()));
  }
  /// @return the 256 bytes that come next; the ring beside them is mapped
  [[nodiscard]] std::string hear(const raw_unix& at) {
    std::string text;
    const auto whole = [&] {
      std::array<std::byte, session::k_login_bytes> part{};
      auto got = os::receive_with_fd(at.fd(), std::span(part).first(part.size() - text.size()));
      if (!got) return at.ended();
      text.append(reinterpret_cast<const char*>(part.data()), got->size);
      if (got->fd) theirs = os::mapping::of(got->fd.get(), mine.sizes.total(), true).value();
      return text.size() == part.size();
    };
    EXPECT_TRUE(turn(whole, "a login"));
    return text;
  }
  [[nodiscard]] ring::shared_page& their_page() const {
    return *reinterpret_cast<ring::shared_page*>(theirs.data() + mine.sizes.shared_offset());
  }
  /// All of its memory: the header, a page of zeros but for `shared`, and the records.
  void expect_ring(const std::string& name, const std::string& shared, const std::string& records) const {
    const std::string all(reinterpret_cast<const char*>(theirs.data()), theirs.span().size());
    std::string wanted("FERRYRNG");
    wanted.append(le(1, 4)).append(le(4096, 4)).append(le(65536, 8)).append(le(1, 4)).append(le(0, 4));
    // The number of its life, and the time when it was made.
    EXPECT_NE(all.substr(32, 8), le(0, 8));
    EXPECT_NE(all.substr(40, 8), le(0, 8));
    wanted.append(all, 32, 16).append(le(static_cast<std::uint64_t>(::getpid()), 4)).append(le(::geteuid(), 4));
    wanted = padded(padded(wanted.append(le(0, 8)).append(name), 4096) + shared, 8192);
    wanted = padded(wanted + records, mine.sizes.total());
    const auto differs = std::mismatch(all.begin(), all.end(), wanted.begin(), wanted.end()).first - all.begin();
    EXPECT_TRUE(all == wanted) << "byte " << differs << " of " << all.size() << " differs";
  }

  const raw_ring_memory mine{};
  os::mapping theirs;
};

TEST_F(a_session_in_memory, of_a_listening_end_has_an_answer_a_ring_and_bytes_beside_it_as_the_pages_have_them) {
  listener at = listener::open(where, url("shm", "server"), settings()).value();
  channel one;
  at.on_channel([&](channel came) { one = std::move(came); });
  const auto raw = raw_unix::connect(where_they_meet());
  say(raw, login_bytes(0, {4711, 3, 0, 0, 0}, "mallory", "server"));
  ASSERT_EQ(hear(raw), login_bytes(2, {4711, 3, 0, 0, 0}, "server", "mallory"));
  ASSERT_FALSE(theirs.span().empty());
  expect_ring("server~mallory", "", "");
  ASSERT_TRUE(turn([&] { return static_cast<bool>(one); }, "the channel"));
  // Whoever sleeps on the socket is woken by a byte, once.
  their_page().records.sleeps = static_cast<std::uint32_t>(ring::sleeping::on_socket);
  ASSERT_TRUE(one.try_send("hello"));
  ASSERT_TRUE(comes(raw, le(0, 1)));
  ASSERT_TRUE(one.try_send(as_bytes("odd"), message_kind::binary, 0x0102));
  ASSERT_TRUE(one.try_send(bytes{}, message_kind::binary));
  const std::string records =
      record_bytes(0, true, "hello") + record_bytes(1, false, "odd", 0x0102) + record_bytes(2, false, "");
  expect_ring("server~mallory", "", records);
  // All of it consumed: then the end may be said.
  their_page().rings[0].sequence = 3;
  their_page().rings[0].position = records.size();
  one.half_close();
  raw.send(le(0, 1));
  ASSERT_TRUE(comes(raw, le(1, 1)));
  expect_ring("server~mallory", std::string(256, '\0') + le(records.size(), 8) + le(3, 8), records);
  one.cut();
  ASSERT_TRUE(turn([&] { return raw.ended(); }, "the end"));
}

TEST_F(a_session_in_memory, of_a_connecting_end_has_a_login_and_a_ring_as_the_pages_have_them) {
  const auto at = raw_unix::listen(where_they_meet());
  channel to = channel::open(where, url("shm", "client", "&login_data=v2"), settings()).value();
  ASSERT_TRUE(to.try_send("queued"));
  ASSERT_TRUE(turn([&] { return at.ready(); }, "a connection"));
  const auto raw = at.accept();
  const std::string login = hear(raw);
  ASSERT_EQ(login.size(), session::k_login_bytes);
  std::uint64_t session = 0;
  std::memcpy(&session, login.data() + 16, sizeof session);
  EXPECT_NE(session, 0u);
  EXPECT_EQ(login, login_bytes(0, {session, 1, 0, 0, 1}, "client", "", "v2"));
  ASSERT_FALSE(theirs.span().empty());
  expect_ring("client~", "", record_bytes(0, true, "queued"));
  say(raw, login_bytes(2, {session, 1, 0, 0, 0}, "server", "client"));
  ASSERT_TRUE(turn([&] { return to.state() == channel_state::up; }, "the answer"));
  ASSERT_TRUE(to.try_send(as_bytes("and on"), message_kind::text, 7));
  expect_ring("client~", "", record_bytes(0, true, "queued") + record_bytes(1, true, "and on", 7));
  EXPECT_EQ(raw.read_some(), "");
}

TEST_F(a_session_in_memory, that_is_refused_gets_the_words_of_a_stream_and_no_ring) {
  listener at = listener::open(where, url("shm", "server", "&peer=somebody"), settings()).value();
  at.on_channel([](const channel&) { FAIL() << "let in"; });
  const auto raw = raw_unix::connect(where_they_meet());
  say(raw, login_bytes(0, {4711, 3, 0, 0, 0}, "mallory", "server"));
  EXPECT_EQ(hear(raw), refusal_bytes(6, {4711, 3, 0, 0, 0}, "mallory", "expected 'somebody', not 'mallory'"));
  EXPECT_TRUE(theirs.span().empty());
  EXPECT_TRUE(turn([&] { return raw.ended(); }, "the end"));
}

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

TEST_F(a_session_on_the_wire, of_a_listening_end_has_refusals_with_every_byte_of_the_page_and_no_other) {
  listener at = listener::open(where, url("ipc", "server")).value();
  channel one;
  at.on_channel([&](channel came) {
    one = std::move(came);
    one.on_message([&](const message_view& m) { ASSERT_TRUE(one.try_send(m.payload)); });
  });
  const auto raw = raw_unix::connect(dir.file("meeting.sock"));
  raw.send(login_bytes(0, {4711, 3, 0, 0, 0}, "mallory", "server"));
  ASSERT_TRUE(comes(raw, login_bytes(2, {4711, 3, 0, 0, 0}, "server", "mallory")));
  raw.send(frame_bytes(0, 0, "hello"));
  ASSERT_TRUE(comes(raw, frame_bytes(0, 1, "hello")));
  const auto answers = [&](const std::string& login, const std::string& whole) {
    const auto late = raw_unix::connect(dir.file("meeting.sock"));
    late.send(login);
    const auto came = comes(late, whole);
    return came ? turn([&] { return late.ended(); }, "the end") : came;
  };
  EXPECT_TRUE(answers(login_bytes(0, {4711, 4, 2, 0, 1}, "mallory", "server"),
                      refusal_bytes(3, {4711, 4, 1, 0, 1}, "mallory", session::mismatch{{1, 0, 1}, {2, 0, 1}}.text())));
  EXPECT_TRUE(answers(login_bytes(0, {4711, 4, 1, 1, 1}, "mallory", "somebody"),
                      refusal_bytes(4, {4711, 4, 1, 0, 1}, "mallory", "this is 'server', not 'somebody'")));
  EXPECT_TRUE(answers(login_bytes(0, {4711, 3, 1, 1, 1}, "mallory", "server"),
                      refusal_bytes(5, {4711, 3, 1, 0, 1}, "mallory", "login 3 came after login 3")));
}

TEST_F(a_session_on_the_wire, of_a_listening_end_that_takes_nobody_else_has_a_refusal_with_every_byte_of_the_page) {
  std::vector<std::string> let_in;
  const auto listens = [&](const std::string& more) {
    listener at = listener::open(where, url("ipc", "server", more)).value();
    at.on_channel([&](const channel& came) { let_in.push_back(persistent_session::of(came)->info().peer_name); });
    return at;
  };
  // Whatever somebody says of himself, he hears nothing of this side's numbers.
  const auto refuses_mallory = [&](const std::string& why, const std::string& looks_for = "server") {
    const auto raw = raw_unix::connect(dir.file("meeting.sock"));
    raw.send(login_bytes(0, {4711, 3, 2, 5, 7}, "mallory", looks_for, "what he says of himself"));
    EXPECT_TRUE(comes(raw, refusal_bytes(6, {4711, 3, 0, 0, 0}, "mallory", why)));
    EXPECT_TRUE(turn([&] { return raw.ended(); }, "the end"));
  };
  listener at = listens("&peer=somebody");
  refuses_mallory("expected 'somebody', not 'mallory'");
  at.close();
  at = listens("&max_sessions=1");
  const auto raw = raw_unix::connect(dir.file("meeting.sock"));
  raw.send(login_bytes(0, {4711, 3, 0, 0, 0}, "somebody", "server"));
  ASSERT_TRUE(comes(raw, login_bytes(2, {4711, 3, 0, 0, 0}, "server", "somebody")));
  refuses_mallory("no place for another session: max_sessions=1");
  // Who is told that this is another server would give up what it has queued, and could not come in.
  refuses_mallory("no place for another session: max_sessions=1", "another");
  EXPECT_EQ(let_in, std::vector<std::string>{"somebody"});
}

TEST_F(a_session_on_the_wire, asks_whoever_is_silent_with_a_frame_of_which_every_byte_is_on_the_page) {
  listener at = listener::open(where, url("ipc", "server", "&heartbeat=20ms")).value();
  channel one;
  at.on_channel([&](channel came) { one = std::move(came); });
  const auto raw = raw_unix::connect(dir.file("meeting.sock"));
  raw.send(login_bytes(0, {4711, 3, 0, 0, 0}, "mallory", "server"));
  ASSERT_TRUE(comes(raw, login_bytes(2, {4711, 3, 0, 0, 0}, "server", "mallory")));
  EXPECT_TRUE(comes(raw, frame_bytes(3, 0)));
}

TEST_F(a_session_on_the_wire, has_login_data_of_both_ends_where_the_page_has_them_and_nothing_behind_them) {
  const std::string bobs("v2\x01\xff"), largest(63, '\x81');
  listener at = listener::open(where, url("ipc", "server") + "&login_data=v2%01%ff").value();
  std::string heard;
  channel one;
  at.on_channel([&](channel came) {
    one = std::move(came);
    heard = one.peer().login_data;
  });
  const auto raw = raw_unix::connect(dir.file("meeting.sock"));
  raw.send(login_bytes(0, {4711, 3, 0, 0, 0}, "mallory", "server", largest));
  ASSERT_TRUE(comes(raw, login_bytes(2, {4711, 3, 0, 0, 0}, "server", "mallory", bobs)));
  ASSERT_TRUE(turn([&] { return static_cast<bool>(one); }, "the channel"));
  EXPECT_EQ(heard, largest);
  // A refusal has a text there.
  const auto late = raw_unix::connect(dir.file("meeting.sock"));
  late.send(login_bytes(0, {4711, 3, 0, 0, 0}, "mallory", "server", largest));
  std::string answer;
  ASSERT_TRUE(turn([&] { return (answer += late.read_some(256 - answer.size())).size() == 256; }, "a refusal"));
  EXPECT_EQ(answer.substr(192, 8), "login 3 ");
  EXPECT_EQ(answer.back(), '\0');
}

TEST_F(a_session_on_the_wire, of_a_connecting_end_has_its_login_data_in_each_login) {
  const auto at = raw_unix::listen(dir.file("meeting.sock"));
  channel to = channel::open(where, url("ipc", "client") + "&login_data=of%20the%20client").value();
  std::uint64_t session = 0;
  for (std::uint64_t epoch = 1; epoch <= 2; ++epoch) {
    ASSERT_TRUE(turn([&] { return at.ready(); }, "a connection"));
    const auto raw = at.accept();
    std::string login;
    ASSERT_TRUE(turn([&] { return (login += raw.read_some(256 - login.size())).size() == 256; }, "a login"));
    std::memcpy(&session, login.data() + 16, sizeof session);
    EXPECT_EQ(login, login_bytes(0, {session, epoch, 0, 0, 0}, "client", epoch == 1 ? "" : "server", "of the client"));
    raw.send(login_bytes(epoch == 1 ? 2 : 1, {session, epoch, 0, 0, 0}, "server", "client", "answer"));
    ASSERT_TRUE(turn([&] { return to.state() == channel_state::up; }, "the answer"));
    EXPECT_EQ(to.peer().login_data, "answer");
  }
}

}  // namespace
}  // namespace ferry::test
