#include "session/resume_token.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "testing/kept_streams.hpp"

namespace ferry::session {
namespace {

using wish = resume_opening::wish;
using status = resume_answer::status;

constexpr resume_token k_fresh{
    42,
    {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}, std::byte{5}, std::byte{6}, std::byte{7}, std::byte{8}}};

using kept = test::kept_streams;

std::vector<std::byte> said(const resume_opening& what) {
  std::size_t size = 0;
  const auto made = encode(what, size);
  return {made.begin(), made.begin() + static_cast<std::ptrdiff_t>(size)};
}
std::vector<std::byte> again(const resume_token& token, const codec::snet::counts& has) {
  return said({0, wish::again, token, has});
}

class token_resumption : public ::testing::Test {
 protected:
  void SetUp() override {
    token_accepting machine({}, k_fresh, streams);
    const auto opening = said({});
    for (std::size_t cut = 0; cut < opening.size(); ++cut)
      EXPECT_EQ(machine.on_bytes(bytes(opening).first(cut))->consumed, 0u) << cut;
    const auto step = machine.on_bytes(opening);
    ASSERT_TRUE(step && step->done);
    EXPECT_EQ(step->consumed, opening.size());
    EXPECT_EQ(decode_resume_answer(step->send.view(), true)->token, k_fresh);
    streams.all[k_fresh.id] = machine.take();
  }
  snet_stream& stream() { return *streams.all.at(k_fresh.id); }
  static void write(snet_stream& by, std::string text) {
    by.write(as_bytes(text), std::as_writable_bytes(std::span(text)));
  }
  static void receive(snet_stream& by, std::string text) { by.receive(std::as_writable_bytes(std::span(text))); }
  /// @return what the client is told
  status refusal_of(std::span<const std::byte> opening) {
    token_accepting machine({}, {7, {}}, streams);
    EXPECT_FALSE(machine.on_bytes(opening));
    const auto told = machine.farewell();
    return told.size == 0 ? status::good : decode_resume_answer(told.view(), false)->is;
  }
  kept streams;
};

TEST_F(token_resumption, sends_again_what_the_client_lacks_however_the_opening_is_cut) {
  write(stream(), "hello and more");
  receive(stream(), "abc");
  const auto opening = again(k_fresh, {5, 6});
  token_accepting machine({}, {7, {}}, streams);
  for (std::size_t cut = 0; cut < opening.size(); ++cut)
    EXPECT_EQ(machine.on_bytes(bytes(opening).first(cut))->consumed, 0u) << cut;
  EXPECT_TRUE(streams.cut.empty());
  const auto step = machine.on_bytes(opening);
  ASSERT_TRUE(step && step->done);
  const auto told = decode_resume_answer(step->send.view(), false);
  EXPECT_EQ(told->is, status::good);
  EXPECT_EQ(told->has, (codec::snet::counts{14, 3}));
  EXPECT_EQ(std::string(as_text(machine.replay().first)) + std::string(as_text(machine.replay().second)), "and more");
  EXPECT_EQ(machine.id(), k_fresh.id);
  EXPECT_EQ(streams.cut, std::vector<std::uint64_t>{k_fresh.id});
}

TEST_F(token_resumption, gives_nothing_to_another_token) {
  for (std::size_t byte = 0; byte < 16; ++byte) {
    auto opening = again(k_fresh, {});
    opening[16 + byte] ^= std::byte{1};
    EXPECT_EQ(refusal_of(opening), status::unknown) << byte;
  }
  EXPECT_TRUE(streams.cut.empty());
}

TEST_F(token_resumption, ends_a_stream_with_counts_that_cannot_be_or_too_much_missing) {
  EXPECT_EQ(refusal_of(again(k_fresh, {0, 1})), status::impossible);
  receive(stream(), "abc");
  EXPECT_EQ(refusal_of(again(k_fresh, {2, 0})), status::impossible);
  write(stream(), std::string((1 << 15) + 1, 'x'));
  EXPECT_EQ(refusal_of(again(k_fresh, {3, 0})), status::impossible);
}

TEST_F(token_resumption, hears_that_a_stream_is_over) {
  token_accepting machine({}, {7, {}}, streams);
  const auto step = machine.on_bytes(said({0, wish::over, k_fresh, {}}));
  ASSERT_TRUE(step && step->done);
  EXPECT_TRUE(machine.is_over());
  EXPECT_EQ(decode_resume_answer(step->send.view(), false)->has, codec::snet::counts{});
}

TEST_F(token_resumption, refuses_openings_that_mean_nothing) {
  for (std::size_t byte = 0; byte < 16; ++byte) {
    auto opening = said({});
    opening[byte] ^= std::byte{0x80};
    EXPECT_EQ(refusal_of(opening), status::good) << byte;  // without a word
  }
  for (const char* other : {"GET / HTTP/1.1\r\n", "\x16\x03\x01", "\xff"})
    EXPECT_EQ(refusal_of(as_bytes(other)), status::good);
}

// What the client's machine says to what this server answers, which may be cut anywhere.
TEST_F(token_resumption, is_asked_for_and_understood_by_a_client) {
  token_connecting fresh({});
  token_accepting here({}, k_fresh, streams);
  const auto given = here.on_bytes(fresh.begin().view());
  ASSERT_TRUE(given && given->done);
  for (std::size_t cut = 0; cut < given->send.size; ++cut)
    EXPECT_EQ(fresh.on_bytes(given->send.view().first(cut))->consumed, 0u) << cut;
  ASSERT_TRUE(fresh.on_bytes(given->send.view())->done);
  const auto client = fresh.take();
  streams.all[k_fresh.id] = here.take();
  EXPECT_EQ(client->id(), k_fresh.id);
  EXPECT_EQ(client->key(), k_fresh.key);
  write(*client, "question");
  receive(stream(), "ques");
  write(stream(), "answer");

  token_connecting next({}, *client);
  token_accepting there({}, {7, {}}, streams);
  const auto told = there.on_bytes(next.begin().view());
  ASSERT_TRUE(told && told->done);
  const auto step = next.on_bytes(told->send.view());
  ASSERT_TRUE(step && step->done);
  EXPECT_EQ(std::string(as_text(next.replay().first)) + std::string(as_text(next.replay().second)), "tion");
  EXPECT_EQ(std::string(as_text(there.replay().first)) + std::string(as_text(there.replay().second)), "answer");
}

TEST_F(token_resumption, client_is_told_why_it_cannot_go_on) {
  snet_stream other({}, 4711, {}, snet_end::client);
  token_connecting unknown({}, other);
  token_accepting here({}, {7, {}}, streams);
  EXPECT_FALSE(here.on_bytes(unknown.begin().view()));
  EXPECT_EQ(unknown.on_bytes(here.farewell().view()).error(), errc::refused);
  snet_stream ahead({}, k_fresh.id, k_fresh.key, snet_end::client);
  receive(ahead, "what was never said");
  token_connecting impossible({}, ahead);
  token_accepting there({}, {7, {}}, streams);
  EXPECT_FALSE(there.on_bytes(impossible.begin().view()));
  EXPECT_EQ(impossible.on_bytes(there.farewell().view()).error(), errc::refused);
  token_connecting forged({}, ahead);
  codec::snet::message less;
  less.size = resume_answer::k_bytes;
  EXPECT_EQ(forged.on_bytes(less.view()).error(), errc::protocol) << "it says that it wrote less than came";
}

TEST(resume_answer, with_a_status_that_nobody_knows_is_a_breach) {
  std::array<std::byte, resume_answer::k_bytes> wire{};
  wire[0] = std::byte{3};
  EXPECT_EQ(decode_resume_answer(wire, true).error(), errc::protocol);
}

}  // namespace
}  // namespace ferry::session
