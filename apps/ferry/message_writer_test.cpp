#include "apps/ferry/message_writer.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using ferry::as_bytes;
using ferry::app::base64;
using ferry::app::is_utf8;
using ferry::app::json_of;

TEST(message_writer, knows_utf8_from_everything_else) {
  using namespace std::string_literals;
  for (const auto& good : {""s, "plain"s, "\0zero"s, "\xc2\x80"s, "\xdf\xbf"s, "\xe0\xa0\x80"s, "\xed\x9f\xbf"s,
                           "\xee\x80\x80"s, "\xf0\x90\x80\x80"s, "\xf4\x8f\xbf\xbf"s, "a\xc3\xa4z"s}) {
    EXPECT_TRUE(is_utf8(as_bytes(good))) << ::testing::PrintToString(good);
  }
  for (const auto& bad :
       {"\x80"s, "\xc0\x80"s, "\xc1\xbf"s, "\xc2"s, "\xc2z"s, "\xe0\x9f\xbf"s, "\xed\xa0\x80"s, "\xe2\x82"s,
        "\xe2\x82z"s, "\xf0\x8f\xbf\xbf"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xff"s}) {
    EXPECT_FALSE(is_utf8(as_bytes(bad))) << ::testing::PrintToString(bad);
  }
}

TEST(message_writer, writes_the_base64_of_rfc_4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"},
                                                         {"\xfb\xff", "+/8="}};
  for (const auto& [plain, coded] : vectors) EXPECT_EQ(base64(as_bytes(plain)), coded);
}

TEST(message_writer, writes_text_as_text_and_other_bytes_as_base64) {
  EXPECT_EQ(json_of({as_bytes("say \"hi\"\n"), ferry::message_kind::text, 7}, 3, "127.0.0.1:1"),
            R"({"n":3,"kind":"text","type":7,"size":9,"text":"say \"hi\"\n","peer":"127.0.0.1:1"})");
  EXPECT_EQ(json_of({as_bytes("\xff\xfe"), ferry::message_kind::binary, 0}, 1, "pid 1 uid 0"),
            R"({"n":1,"kind":"binary","type":0,"size":2,"data":"//4=","peer":"pid 1 uid 0"})");
}

}  // namespace
