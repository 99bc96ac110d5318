#include "net/tls_names.hpp"

#include <gtest/gtest.h>

namespace ferry::net {
namespace {

const std::string k_digits = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

TEST(tls_pins, are_of_a_certificate_unless_they_say_key) {
  const auto pins = parse_tls_pins(k_digits + ",cert:" + k_digits + ",key:" + k_digits);
  ASSERT_TRUE(pins);
  ASSERT_EQ(pins->size(), 3u);
  EXPECT_FALSE((*pins)[0].of_key);
  EXPECT_FALSE((*pins)[1].of_key);
  EXPECT_TRUE((*pins)[2].of_key);
  for (const auto& pin : *pins) EXPECT_EQ(pin.sha256, k_digits);
}

TEST(tls_pins, may_be_written_as_openssl_prints_fingerprints) {
  std::string printed = "cert:";
  for (std::size_t i = 0; i < k_digits.size(); i += 2) {
    if (i != 0) printed += ':';
    for (const char c : k_digits.substr(i, 2)) printed += c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  const auto pins = parse_tls_pins(printed);
  ASSERT_TRUE(pins);
  EXPECT_EQ((*pins)[0].sha256, k_digits);
}

TEST(tls_pins, are_nothing_when_one_of_them_has_another_length_or_other_digits) {
  const std::string short_one = k_digits.substr(1);
  for (const std::string& text : {std::string("x"), short_one, k_digits + "0", "z" + short_one, k_digits + ",",
                                  "," + k_digits, "md5:" + k_digits})
    EXPECT_FALSE(parse_tls_pins(text)) << text;
  EXPECT_TRUE(parse_tls_pins("")->empty());
}

TEST(tls_protocols, are_names_behind_their_lengths) {
  EXPECT_EQ(tls_protocol_list("h2,http/1.1"), "\2h2\10http/1.1");
  EXPECT_EQ(tls_protocol_list(""), "");
  const std::string longest(255, 'a');
  EXPECT_EQ(tls_protocol_list(longest)->size(), 256u);
  for (const std::string& text : {std::string(","), std::string("a,"), std::string(",a"), longest + "a"})
    EXPECT_FALSE(tls_protocol_list(text)) << text;
}

}  // namespace
}  // namespace ferry::net
