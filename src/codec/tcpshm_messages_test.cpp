#include "codec/tcpshm_messages.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace ferry::codec::tcpshm {
namespace {

std::vector<std::byte> from_hex(std::string_view hex) {
  std::vector<std::byte> made;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    made.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return made;
}
std::string to_hex(bytes data) {
  std::string made;
  for (const auto one : data) {
    made += "0123456789abcdef"[std::to_integer<unsigned>(one) >> 4];
    made += "0123456789abcdef"[std::to_integer<unsigned>(one) & 15];
  }
  return made;
}

// As captured between the original's programs.
constexpr std::string_view k_first_login =
    "340001000000000000000000000000000000636c690000000000000000000000000000000000000000000000000000000000000000000000"
    "00";
constexpr std::string_view k_first_answer =
    "440002000000000000000000000000000000736572766572000000000000000000000000000000000000000000000000000000000000000000"
    "000000000000000000000000000000";
constexpr std::string_view k_later_login =
    "34000100ed2f0000ed2f00004f3000000000636c690000000000000000000000000073657276657200000000000000000000000000000000";
constexpr std::string_view k_later_answer =  // user data and text are the original's uninitialised memory
    "440002004f300000ec2f00004f30000010007365727665720000000000000000000000b7b37f0000783ec9b7b37f000010000000ffffffff60"
    "9a5737fe7f0000209a5737fe7f0000";

const wire_format k_format;

login later_login() { return {{0x2fed, 0x2fed, 0x304f}, std::vector<std::byte>(1), false, "cli", "server"}; }

TEST(tcpshm_login, is_what_the_original_sends) {
  EXPECT_EQ(to_hex(encode(login{{}, {}, false, "cli", ""}, k_format)), k_first_login.substr(0, 112));
  EXPECT_EQ(to_hex(encode(later_login(), k_format)), k_later_login);
  EXPECT_EQ(login_bytes(k_format), 56u);
}

TEST(tcpshm_login, of_the_original_is_read) {
  const auto read = decode_login(from_hex(k_later_login), k_format);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->numbers, later_login().numbers);
  EXPECT_EQ(read->client_name, "cli");
  EXPECT_EQ(read->last_server_name, "server");
  EXPECT_FALSE(read->use_shm);
  EXPECT_EQ(read->user_data.size(), 1u);
}

TEST(tcpshm_login_answer, is_what_the_original_sends_but_for_its_uninitialised_bytes) {
  login_answer first;
  first.server_name = "server";
  EXPECT_EQ(to_hex(encode(first, k_format)), k_first_answer.substr(0, 144));
  EXPECT_EQ(answer_bytes(k_format), 72u);
  login_answer later = first;
  later.numbers = {0x304f, 0x2fec, 0x304f};
  auto wanted = from_hex(k_later_answer);
  wanted[16] = std::byte{0};
  std::fill(wanted.begin() + 34, wanted.end(), std::byte{0});
  EXPECT_EQ(to_hex(encode(later, k_format)), to_hex(wanted));
}

TEST(tcpshm_login_answer, of_the_original_is_read_without_its_uninitialised_text) {
  const auto read = decode_answer(from_hex(k_later_answer), k_format);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->numbers, (range{0x304f, 0x2fec, 0x304f}));
  EXPECT_EQ(read->status, login_status::accepted);
  EXPECT_EQ(read->server_name, "server");
  EXPECT_EQ(read->error_text, "");
}

TEST(tcpshm_login_answer, of_a_refusal_has_a_text_that_is_cut_where_it_must_end) {
  login_answer refusal;
  refusal.server_name = "server";
  refusal.status = login_status::refused;
  refusal.error_text.append(40, 'x');
  const auto read = decode_answer(encode(refusal, k_format), k_format);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->status, login_status::refused);
  EXPECT_EQ(read->error_text, std::string().append(31, 'x'));
}

// A C struct with the same fields says where they lie.
template <class Data, std::size_t Name>
struct original_login {
  std::uint32_t start, end;
  Data data;
  char use_shm;
  char client[Name];
  char server[Name];
};

template <class Data, std::size_t Name>
void expect_layout_of_the_struct() {
  const wire_format format{Name, sizeof(Data), 1, alignof(Data), std::endian::little};
  login told{{1, 2, 3}, std::vector<std::byte>(sizeof(Data), std::byte{0x5a}), true, "abc", "de"};
  const auto encoded = encode(told, format);
  using body = original_login<Data, Name>;
  body wanted;
  std::memset(&wanted, 0, sizeof wanted);
  wanted.start = 2;
  wanted.end = 3;
  std::memset(&wanted.data, 0x5a, sizeof wanted.data);
  wanted.use_shm = 1;
  std::memcpy(wanted.client, "abc", 3);
  std::memcpy(wanted.server, "de", 2);
  ASSERT_EQ(encoded.size(), padded(8 + sizeof(body)));
  EXPECT_EQ(load_header(encoded.data(), format.order).size, 8 + sizeof(body));
  const auto expected = std::as_bytes(std::span(&wanted, 1));
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), encoded.begin() + 8));
  const auto read = decode_login(encoded, format);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->user_data, told.user_data);
}

TEST(tcpshm_login, lies_as_the_compiler_lays_out_its_struct_for_any_user_data) {
  struct four {
    std::uint32_t a;
  };
  struct sixteen {
    double a, b;
  };
  expect_layout_of_the_struct<char, 16>();
  expect_layout_of_the_struct<std::array<char, 33>, 16>();
  expect_layout_of_the_struct<four, 24>();
  expect_layout_of_the_struct<sixteen, 11>();
  expect_layout_of_the_struct<std::uint16_t, 7>();
}

TEST(tcpshm_messages, have_the_byte_order_that_was_agreed_on) {
  wire_format big;
  big.order = std::endian::big;
  const auto encoded = encode(later_login(), big);
  EXPECT_EQ(to_hex(bytes(encoded).first(16)), "0034000100002fed00002fed0000304f");
  EXPECT_EQ(decode_login(encoded, big)->numbers, later_login().numbers);
  EXPECT_EQ(decode_login(encoded, k_format).error(), errc::protocol);
}

TEST(tcpshm_login, that_does_not_fit_is_refused_at_every_byte) {
  const auto good = from_hex(k_later_login);
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(decode_login(bytes(good).first(size), k_format).error(), errc::protocol) << size;
  for (const std::size_t at : {0u, 1u, 2u, 3u}) {
    auto bad = good;
    bad[at] ^= std::byte{0x10};
    EXPECT_EQ(decode_login(bad, k_format).error(), errc::protocol) << at;
  }
  auto bad = good;
  bad[17] = std::byte{2};  // use_shm
  EXPECT_EQ(decode_login(bad, k_format).error(), errc::protocol);
  bad = good;
  std::fill(bad.begin() + 18, bad.begin() + 34, std::byte{'x'});
  EXPECT_EQ(decode_login(bad, k_format).error(), errc::protocol);
  bad = good;
  std::fill(bad.begin() + 34, bad.begin() + 50, std::byte{'x'});
  EXPECT_EQ(decode_login(bad, k_format).error(), errc::protocol);
}

TEST(tcpshm_login_answer, with_an_unknown_status_or_an_endless_name_is_refused) {
  auto bad = from_hex(k_later_answer);
  bad[17] = std::byte{3};
  EXPECT_EQ(decode_answer(bad, k_format).error(), errc::protocol);
  bad[17] = std::byte{0};
  std::fill(bad.begin() + 18, bad.begin() + 34, std::byte{'x'});
  EXPECT_EQ(decode_answer(bad, k_format).error(), errc::protocol);
}

}  // namespace
}  // namespace ferry::codec::tcpshm
