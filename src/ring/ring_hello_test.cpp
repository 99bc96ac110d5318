#include "ring/ring_hello.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ferry::ring {
namespace {

hello sample() {
  hello h;
  h.kind = hello_kind::welcome;
  h.barriers = true;
  h.memory = {1u << 20, 4, 4096};
  h.epoch = 0x0123456789abcdef;
  h.text = "orders";
  return h;
}

std::string hex(bytes of) {
  std::string text;
  for (const std::byte b : of) {
    constexpr char k_digits[] = "0123456789abcdef";
    text += k_digits[std::to_integer<int>(b) >> 4];
    text += k_digits[std::to_integer<int>(b) & 15];
  }
  return text;
}

TEST(ring_hello, lies_in_its_512_bytes_as_the_page_says) {
  const auto out = encode(sample());
  EXPECT_EQ(hex(bytes(out).first(72)),
            "464552525953484d"  // "FERRYSHM"
            "01000000"          // version
            "02000000"          // welcome
            "01000000"          // flags: barriers
            "00100000"          // page_bytes
            "0000100000000000"  // ring_bytes
            "04000000"          // rings
            "00000000"          // reason
            "efcdab8967452301"  // epoch
            "00000000000000000000000000000000"
            "6f72646572730000");  // "orders"
  ASSERT_EQ(out.size(), 512u);
  for (const std::byte b : bytes(out).subspan(70)) EXPECT_EQ(b, std::byte{0});
}

TEST(ring_hello, reads_back_what_was_written) {
  const auto read = decode_hello(encode(sample()));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->kind, hello_kind::welcome);
  EXPECT_TRUE(read->barriers);
  EXPECT_EQ(read->memory, sample().memory);
  EXPECT_EQ(read->epoch, sample().epoch);
  EXPECT_EQ(read->text, "orders");
}

TEST(ring_hello, carries_a_refusal_with_its_reason) {
  hello no;
  no.kind = hello_kind::refusal;
  no.reason = errc::no_memory;
  no.text = "no room for 1 GiB";
  const auto read = decode_hello(encode(no));
  ASSERT_TRUE(read);
  const error why = refusal_of(*read);
  EXPECT_EQ(why, errc::no_memory);
  EXPECT_EQ(why.text(), "the listener refused: no room for 1 GiB");
}

TEST(ring_hello, carries_the_whole_text_of_a_long_refusal) {
  hello no;
  no.kind = hello_kind::refusal;
  no.reason = errc::no_memory;
  no.text =
      "no room for 1073750016 bytes of shared memory in /run/gr\xc3\xb6\xc3\x9f"
      "e: choose a smaller ring_bytes, or raise ";
  no.text.append(300, '.');
  const auto read = decode_hello(encode(no));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->text, no.text);
}

TEST(ring_hello, cuts_a_text_that_is_too_long_between_two_characters) {
  hello no;
  no.kind = hello_kind::refusal;
  for (std::size_t before = k_hello_text_bytes - 3; before <= k_hello_text_bytes; ++before) {
    no.text.assign(before, 'x').append("\xe2\x82\xac and more");
    const auto read = decode_hello(encode(no));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->text, no.text.substr(0, before + 3 <= k_hello_text_bytes ? before + 3 : before)) << before;
  }
}

TEST(ring_hello, reads_a_text_that_does_not_end_up_to_the_last_byte_that_may_be_one) {
  hello no;
  no.kind = hello_kind::refusal;
  auto wire = encode(no);
  for (std::size_t at = 64; at < wire.size(); ++at) wire[at] = std::byte{'x'};
  const auto read = decode_hello(wire);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->text, std::string(k_hello_text_bytes, 'x'));
}

TEST(ring_hello, understands_a_refusal_of_a_version_that_it_does_not_know) {
  hello no;
  no.kind = hello_kind::refusal;
  no.reason = errc::unsupported;
  no.text = "old";
  auto out = encode(no);
  out[8] = std::byte{9};
  const auto read = decode_hello(out);
  ASSERT_TRUE(read);
  EXPECT_EQ(refusal_of(*read), errc::unsupported);
}

TEST(ring_hello, does_not_believe_a_reason_or_a_text) {
  hello no;
  no.kind = hello_kind::refusal;
  no.text = "\x1b[2J";
  no.text.append(500, 'x');
  auto out = encode(no);
  out[36] = std::byte{0xff};
  const auto read = decode_hello(out);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->reason, errc::protocol);
  EXPECT_EQ(read->text.substr(0, 5), "?[2Jx");
  EXPECT_EQ(read->text.size(), 447u);
}

TEST(ring_hello, says_which_version_does_not_fit) {
  auto out = encode(sample());
  out[8] = std::byte{2};
  const auto read = decode_hello(out);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), errc::unsupported);
  EXPECT_NE(read.error().text().find("version 2"), std::string::npos) << read.error().text();
}

TEST(ring_hello, refuses_every_size_but_its_own) {
  const auto out = encode(sample());
  for (std::size_t size = 0; size < out.size(); ++size)
    EXPECT_EQ(decode_hello(bytes(out).first(size)).error(), errc::protocol) << size;
}

TEST(ring_hello, gives_a_valid_geometry_or_an_error_for_every_byte_changed) {
  const auto good = encode(sample());
  for (std::size_t at = 0; at < good.size(); ++at)
    for (int value = 0; value < 256; ++value) {
      auto out = good;
      out[at] = static_cast<std::byte>(value);
      const auto read = decode_hello(out);
      if (read && read->kind != hello_kind::refusal) {
        EXPECT_TRUE(check(read->memory)) << "byte " << at << " = " << value;
      }
    }
}

}  // namespace
}  // namespace ferry::ring
