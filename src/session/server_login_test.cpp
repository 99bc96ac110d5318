#include "session/server_login.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "codec/gateway_packet.hpp"

namespace ferry::session {
namespace {

namespace wire = codec::gateway;

constexpr wire::challenge k_asked{std::byte{1}, std::byte{2}, std::byte{3}};
constexpr server_login::random_bytes k_random{std::byte{9}};

std::vector<std::byte> proof_by(std::string_view key) {
  const auto packet =
      wire::encode_welcome(wire::prove_hmac("gateway", k_asked, wire::hmac_login{7, k_random, {}}, key));
  return {packet.begin() + wire::k_length_bytes, packet.end()};
}

TEST(server_login, says_what_the_original_says_and_waits_for_nothing) {
  server_login it(7, "sekrit", server_login::way::md5);
  const auto said = it.answer(k_asked, k_random);
  const auto expected = wire::encode(wire::server_login{wire::prove(k_asked, "sekrit"), 7});
  EXPECT_EQ(as_text(said), as_text(expected));
  EXPECT_FALSE(it.is_proving());
}

TEST(server_login, says_an_hmac_and_takes_the_gateways) {
  server_login it(7, "sekrit", server_login::way::hmac);
  const auto said = it.answer(k_asked, k_random);
  ASSERT_EQ(said.size(), wire::k_hmac_login_bytes);
  ASSERT_TRUE(wire::is_hmac_login(said));
  const auto read = wire::decode_hmac_login(said);
  EXPECT_EQ(read.server, 7u);
  EXPECT_EQ(read.random, k_random);
  EXPECT_EQ(read.proven, wire::prove_hmac("server", k_asked, read, "sekrit"));
  EXPECT_TRUE(it.is_proving());
  EXPECT_TRUE(it.on_proof(proof_by("sekrit")));
  EXPECT_FALSE(it.is_proving());
}

TEST(server_login, a_gateway_without_the_key_is_found_out) {
  server_login it(7, "sekrit", server_login::way::hmac);
  (void)it.answer(k_asked, k_random);
  const auto other = it.on_proof(proof_by("another"));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error(), errc::auth);
  EXPECT_TRUE(it.is_proving());
}

TEST(server_login, every_corruption_of_a_byte_of_the_proof_is_seen) {
  const auto good = proof_by("sekrit");
  for (std::size_t at = 0; at < good.size(); ++at) {
    server_login it(7, "sekrit", server_login::way::hmac);
    (void)it.answer(k_asked, k_random);
    auto bad = good;
    bad[at] ^= std::byte{1};
    const auto outcome = it.on_proof(bad);
    ASSERT_FALSE(outcome) << at;
    EXPECT_EQ(outcome.error(), at < 5 ? errc::protocol : errc::auth) << at;
    EXPECT_FALSE(it.on_proof(bytes(good).first(at))) << "cut at " << at;
  }
}

}  // namespace
}  // namespace ferry::session
