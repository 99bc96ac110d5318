#include "session/snet_handshake.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <string>

#include "base/endian.hpp"
#include "testing/hex.hpp"
#include "testing/kept_streams.hpp"
#include "testing/splitter.hpp"

namespace ferry::session {
namespace {

using codec::snet::challenge_proof;
using codec::snet::encode_again;
using codec::snet::form;
using test::to_hex;

using byte_vector = std::vector<std::byte>;
constexpr std::uint64_t k_private = 0x123456789abcdef1u;  // of the recorded client

using kept = test::kept_streams;

// One physical connection between the two machines; what each says is shown to the other in pieces.
struct handshake {
  snet_connecting* client;
  snet_accepting* server;
  std::size_t piece = 1000;
  error wrong;

  template <class Machine>
  bool feed(Machine& machine, byte_vector& in, byte_vector& out, bool& done) {
    const auto before = in.size();
    for (std::size_t shown = std::min(piece, in.size()); !done && shown > 0;) {
      const auto step = machine.on_bytes(bytes(in).first(shown));
      if (!step) {
        wrong = step.error();
        return false;
      }
      out.insert(out.end(), step->send.view().begin(), step->send.view().end());
      done = step->done;
      in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(step->consumed));
      if (step->consumed == 0 && shown == in.size()) break;
      shown = std::min(in.size(), step->consumed == 0 ? shown + piece : piece);
    }
    return before != in.size();
  }
  /// @return true: both are done
  bool run() {
    const auto first = client->begin();
    byte_vector to_server(first.view().begin(), first.view().end()), to_client;
    bool client_done = false, server_done = false;
    while (feed(*server, to_server, to_client, server_done) || feed(*client, to_client, to_server, client_done)) {
    }
    return client_done && server_done && to_server.empty() && to_client.empty();
  }
};

std::string text_of(const snet_stream::replay& what) {
  return std::string(as_text(what.first)) + std::string(as_text(what.second));
}
std::string wire_of(snet_stream& by, std::string text) {
  by.write(as_bytes(text), std::as_writable_bytes(std::span(text)));
  return text;
}
std::string plain_of(snet_stream& by, std::string text) {
  by.receive(std::as_writable_bytes(std::span(text)));
  return text;
}

struct pair_of_ends {
  explicit pair_of_ends(const snet_options& options = {}, std::size_t piece = 1000) : with(options), pieces(piece) {
    snet_connecting asking(with, k_private);
    snet_accepting answering(with, {777, 42, 99}, streams);
    handshake both{&asking, &answering, pieces};
    EXPECT_TRUE(both.run()) << both.wrong.text();
    client = asking.take();
    streams.all[42] = answering.take();
  }
  snet_stream& server() { return *streams.all.at(42); }

  snet_options with;
  std::size_t pieces;
  kept streams;
  std::unique_ptr<snet_stream> client;
};

TEST(snet_handshake, makes_one_stream_of_both_ends_in_either_form_however_it_is_cut) {
  for (const auto as : {form::newer, form::older})
    for (const bool encrypt : {false, true})
      for (std::size_t piece = 1; piece <= 42; ++piece) {
        pair_of_ends ends({as, encrypt}, piece);
        ASSERT_TRUE(ends.client);
        EXPECT_EQ(ends.client->id(), 42u);
        EXPECT_EQ(ends.client->key(), ends.server().key());
        EXPECT_EQ(plain_of(ends.server(), wire_of(*ends.client, "there")), "there");
        EXPECT_EQ(plain_of(*ends.client, wire_of(ends.server(), "back")), "back");
      }
}

TEST(snet_handshake, of_another_connection_brings_what_each_end_lacks) {
  for (const auto as : {form::newer, form::older})
    for (std::size_t piece = 1; piece <= 42; ++piece) {
      pair_of_ends ends({as, true}, piece);
      const auto there = wire_of(*ends.client, "there it goes");
      const auto back = wire_of(ends.server(), "and back");
      EXPECT_EQ(plain_of(ends.server(), there.substr(0, 5)), "there");  // then the connection breaks
      EXPECT_EQ(plain_of(*ends.client, back.substr(0, 3)), "and");
      snet_connecting asking(ends.with, *ends.client);
      snet_accepting answering(ends.with, {1, 2, 3}, ends.streams);
      handshake both{&asking, &answering, piece};
      ASSERT_TRUE(both.run()) << both.wrong.text();
      EXPECT_EQ(answering.id(), 42u);
      EXPECT_EQ(answering.take(), nullptr);
      EXPECT_EQ(ends.streams.cut, std::vector<std::uint64_t>{42});
      EXPECT_EQ(plain_of(ends.server(), text_of(asking.replay())), " it goes");
      EXPECT_EQ(plain_of(*ends.client, text_of(answering.replay())), " back");
    }
}

TEST(snet_handshake, with_a_wrong_proof_is_refused_and_cuts_nobody) {
  pair_of_ends ends;
  const auto good = encode_again(42, {0, 0}, ends.client->key(), form::newer);
  test::for_every_corruption(good.view(), [&](bytes damaged, std::size_t at) {
    snet_accepting answering(ends.with, {1, 2, 3}, ends.streams);
    const auto step = answering.on_bytes(damaged);
    if (at == 0 && step) {  // an opening of a new stream
      EXPECT_EQ(step->consumed, 9u);
      return;
    }
    ASSERT_FALSE(step) << at;
    EXPECT_TRUE(step.error() == errc::auth || (at == 0 && step.error() == errc::protocol)) << step.error().text();
    EXPECT_EQ(answering.farewell().size, at == 0 ? 0u : 24u);
  });
  EXPECT_TRUE(ends.streams.cut.empty());
}

TEST(snet_handshake, with_forged_counts_and_a_right_proof_is_refused) {
  pair_of_ends ends;
  (void)wire_of(ends.server(), "12345");
  (void)plain_of(ends.server(), "123");
  for (const auto& forged : {codec::snet::counts{3, 6}, {2, 6}, {3, UINT64_MAX}}) {
    snet_accepting answering(ends.with, {1, 2, 3}, ends.streams);
    const auto step = answering.on_bytes(encode_again(42, forged, ends.client->key(), form::newer).view());
    ASSERT_FALSE(step);
    EXPECT_EQ(step.error(), errc::protocol);
    EXPECT_EQ(to_hex(answering.farewell().view()), std::string(48, '0'));
  }
}

TEST(snet_handshake, that_was_said_before_the_stream_went_on_is_refused_and_cuts_nobody) {
  pair_of_ends ends;
  (void)wire_of(ends.server(), "12345");
  (void)plain_of(ends.server(), "123");
  ends.server().settle(2);  // the client has said that it has three
  for (const auto& earlier : {codec::snet::counts{2, 5}, {0, 0}, {2, 3}, {3, 2}, {4, 0}}) {
    snet_accepting answering(ends.with, {1, 2, 3}, ends.streams);
    const auto step = answering.on_bytes(encode_again(42, earlier, ends.client->key(), form::newer).view());
    ASSERT_FALSE(step);
    EXPECT_EQ(step.error(), errc::auth);
    EXPECT_EQ(to_hex(answering.farewell().view()), std::string(48, '0'));
  }
  EXPECT_TRUE(ends.streams.cut.empty());
  for (const auto& now : {codec::snet::counts{3, 3}, {3, 5}, {4, 4}}) {
    snet_accepting answering(ends.with, {1, 2, 3}, ends.streams);
    EXPECT_TRUE(answering.on_bytes(encode_again(42, now, ends.client->key(), form::newer).view()));
  }
}

TEST(snet_handshake, for_somebody_elses_stream_is_refused) {
  pair_of_ends ends;
  codec::snet::shared_key own{std::byte{9}};
  snet_accepting answering(ends.with, {1, 2, 3}, ends.streams);
  EXPECT_EQ(answering.on_bytes(encode_again(42, {0, 0}, own, form::newer).view()).error(), errc::auth);
  snet_accepting unknown(ends.with, {1, 2, 3}, ends.streams);
  EXPECT_EQ(unknown.on_bytes(encode_again(43, {0, 0}, own, form::newer).view()).error(), errc::auth);
}

TEST(snet_handshake, that_was_heard_before_is_worth_nothing_against_another_challenge) {
  pair_of_ends ends;
  snet_accepting first(ends.with, {1, 2, 3}, ends.streams);
  const auto opening = encode_again(42, {0, 0}, ends.client->key(), form::newer);
  ASSERT_TRUE(first.on_bytes(opening.view()));
  const auto proof = challenge_proof(3, ends.client->key());
  EXPECT_TRUE(first.on_bytes(proof)->done);
  snet_accepting replayed(ends.with, {1, 2, 4}, ends.streams);
  ASSERT_TRUE(replayed.on_bytes(opening.view()));
  EXPECT_EQ(replayed.on_bytes(proof).error(), errc::auth);
}

TEST(snet_handshake, ends_when_the_stream_went_on_or_ended_before_its_proof) {
  for (const bool gone : {true, false}) {
    pair_of_ends ends;
    snet_accepting answering(ends.with, {1, 2, 3}, ends.streams);
    ASSERT_TRUE(answering.on_bytes(encode_again(42, {0, 0}, ends.client->key(), form::newer).view()));
    const auto proof = challenge_proof(3, ends.client->key());
    if (gone)
      ends.streams.all.clear();
    else
      (void)plain_of(ends.server(), "x");
    EXPECT_EQ(answering.on_bytes(proof).error(), errc::auth);
  }
}

TEST(snet_handshake, with_a_key_that_makes_the_secret_known_is_refused_by_either_end) {
  for (const std::uint64_t key : {std::uint64_t{0}, std::uint64_t{1}, codec::snet::k_prime - 1, codec::snet::k_prime}) {
    kept none;
    snet_accepting answering({}, {1, 2, 3}, none);
    EXPECT_EQ(answering.on_bytes(codec::snet::encode_new(key, form::newer).view()).error(), errc::protocol);
    snet_connecting asking({}, k_private);
    EXPECT_EQ(asking.on_bytes(encode(codec::snet::answer{key, 2, 3}, form::newer).view()).error(), errc::protocol);
  }
}

// Another connection for the stream of `ends` that gets through or not, as chance will. @return the bytes on their way
void come_again(pair_of_ends& ends, std::string& to_server, std::string& to_client) {
  snet_connecting asking(ends.with, *ends.client);
  snet_accepting answering(ends.with, {1, 2, 3}, ends.streams);
  handshake both{&asking, &answering};
  ASSERT_TRUE(both.run()) << both.wrong.text();
  to_server = text_of(asking.replay());
  to_client = text_of(answering.replay());
}

TEST(snet_stream_pair, arrives_whole_and_once_through_1000_cuts_at_any_byte) {
  for (const auto as : {form::newer, form::older})
    for (const bool encrypt : {false, true}) {
      std::mt19937 chance(7);
      pair_of_ends ends({as, encrypt, 600});
      std::string sent_there, sent_back, got_there, got_back, to_server, to_client;
      const auto some = [&] { return std::string(chance() % 200, static_cast<char>('a' + chance() % 26)); };
      const auto deliver = [&](std::string& flight, snet_stream& to, std::string& got) {
        const auto part = chance() % (flight.size() + 1);
        got += plain_of(to, flight.substr(0, part));
        flight.erase(0, part);
      };
      for (int cut = 0; cut < 1000; ++cut) {
        for (int i = 0; i < 2; ++i) {
          if (to_server.size() < 400) {
            sent_there += some();
            const auto fresh = sent_there.substr(ends.client->counts().written);
            to_server += wire_of(*ends.client, fresh);
          }
          if (to_client.size() < 400) {
            sent_back += some();
            to_client += wire_of(ends.server(), sent_back.substr(ends.server().counts().written));
          }
          deliver(to_server, ends.server(), got_there);
          deliver(to_client, *ends.client, got_back);
        }
        come_again(ends, to_server, to_client);
      }
      got_there += plain_of(ends.server(), to_server);
      got_back += plain_of(*ends.client, to_client);
      EXPECT_EQ(got_there, sent_there);
      EXPECT_EQ(got_back, sent_back);
    }
}

// The transcripts: the recorded client's side by our machine, and the recorded server's as far as its key is known.
void play(const std::string& file, bool encrypt) {
  const snet_options with{form::newer, encrypt, 1 << 15};
  const auto lines = test::recorded_conversation(FERRY_SOURCE_DIR "/tests/interop/data/" + file);
  ASSERT_EQ(lines.size(), 16u);
  snet_connecting asking(with, k_private);
  EXPECT_EQ(to_hex(asking.begin().view()), to_hex(lines[0].data));
  const auto step = asking.on_bytes(lines[1].data);
  ASSERT_TRUE(step && step->done);
  EXPECT_EQ(to_hex(step->send.view()), to_hex(lines[2].data));
  const auto client = asking.take();
  ASSERT_TRUE(client);
  EXPECT_EQ(client->id(), 1u);
  kept streams;
  streams.all[1] = std::make_unique<snet_stream>(with, 1, client->key(), snet_end::server);
  snet_stream& server = *streams.all[1];

  std::string last;
  for (std::size_t i = 3; i < 10; ++i) {
    std::string data(as_text(lines[i].data));
    if (lines[i].direction == "S>C") {
      EXPECT_EQ(plain_of(*client, data), last) << i;
      EXPECT_EQ(wire_of(server, last), data) << i;
    } else {
      last = plain_of(server, data);
      EXPECT_EQ(wire_of(*client, last), data) << i;
      EXPECT_EQ(lines[i].what.substr(8, last.size()), last);
    }
  }
  const auto lost = wire_of(server, last);  // the echo that was not read

  snet_connecting again(with, *client);
  snet_accepting answering(with, {1, 2, load_le<std::uint64_t>(lines[11].data.data() + 16)}, streams);
  EXPECT_EQ(to_hex(again.begin().view()), to_hex(lines[10].data));
  const auto answer = answering.on_bytes(lines[10].data);
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(to_hex(answer->send.view()), to_hex(lines[11].data));
  const auto proof = again.on_bytes(lines[11].data);
  ASSERT_TRUE(proof && proof->done);
  EXPECT_EQ(to_hex(proof->send.view()), to_hex(lines[12].data));
  ASSERT_TRUE(answering.on_bytes(lines[12].data)->done);
  EXPECT_EQ(text_of(answering.replay()), as_text(lines[13].data));
  EXPECT_EQ(lost, as_text(lines[13].data));
  EXPECT_EQ(plain_of(*client, lost), "0123456789");

  snet_accepting wrong(with, {1, 2, 3}, streams);
  EXPECT_EQ(wrong.on_bytes(lines[14].data).error(), errc::auth);
  EXPECT_EQ(to_hex(wrong.farewell().view()), to_hex(lines[15].data));
  snet_connecting refused(with, *client);
  EXPECT_EQ(refused.on_bytes(lines[15].data).error(), errc::refused);
}

TEST(snet_transcript, plain_is_what_our_ends_say) { play("snet_plain.jsonl", false); }
TEST(snet_transcript, enciphered_is_what_our_ends_say) { play("snet_rc4.jsonl", true); }

}  // namespace
}  // namespace ferry::session
