#include "codec/websocket_frame.hpp"

#include <gtest/gtest.h>

#include "testing/splitter.hpp"

namespace ferry::codec {
namespace {

using test::byte_string;
using test::make_bytes;

constexpr websocket_mask_key k_key{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

byte_string written(const websocket_header& header) {
  byte_string out(k_max_websocket_header);
  out.resize(encode_websocket_header(out.data(), header));
  EXPECT_EQ(out.size(), websocket_header_size(header.length, header.mask.has_value()));
  return out;
}

websocket_fault fault_of(std::initializer_list<int> wire, websocket_mask_rule mask = websocket_mask_rule::forbidden) {
  return decode_websocket_header(make_bytes(wire), mask).fault;
}

TEST(websocket_header, is_written_as_the_rfc_shows) {
  EXPECT_EQ(written({.opcode = websocket_opcode::text, .length = 5, .mask = {}}), make_bytes({0x81, 0x05}));
  EXPECT_EQ(written({.opcode = websocket_opcode::text, .length = 5, .mask = k_key}),
            make_bytes({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d}));
  EXPECT_EQ(written({.fin = false, .opcode = websocket_opcode::text, .length = 3, .mask = {}}),
            make_bytes({0x01, 0x03}));
  EXPECT_EQ(written({.opcode = websocket_opcode::continuation, .length = 2, .mask = {}}), make_bytes({0x80, 0x02}));
  EXPECT_EQ(written({.opcode = websocket_opcode::binary, .length = 256, .mask = {}}),
            make_bytes({0x82, 0x7e, 0x01, 0x00}));
  EXPECT_EQ(written({.opcode = websocket_opcode::binary, .length = 65536, .mask = {}}),
            make_bytes({0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}));
  EXPECT_EQ(written({.rsv1 = true, .opcode = websocket_opcode::text, .length = 7, .mask = {}}),
            make_bytes({0xc1, 0x07}));
}

TEST(websocket_header, comes_back_as_it_was_written_and_asks_for_more_at_every_cut) {
  for (const std::uint64_t length : {0ull, 1ull, 125ull, 126ull, 127ull, 65535ull, 65536ull, (1ull << 63) - 1})
    for (const bool masked : {false, true}) {
      websocket_header header{.fin = false, .opcode = websocket_opcode::binary, .length = length, .mask = {}};
      if (masked) header.mask = k_key;
      const auto wire = written(header);
      test::for_every_cut(wire, [&](bytes head, bytes tail) {
        const auto read = decode_websocket_header(head, websocket_mask_rule::either);
        ASSERT_EQ(read.fault, websocket_fault::none);
        ASSERT_EQ(read.complete(head), tail.empty()) << length << " cut at " << head.size();
        if (!tail.empty()) return;
        EXPECT_EQ(read.header.length, length);
        EXPECT_EQ(read.header.mask, header.mask);
        EXPECT_EQ(read.header.opcode, header.opcode);
        EXPECT_EQ(read.header.fin, header.fin);
      });
    }
}

TEST(websocket_header, says_what_is_wrong_at_the_byte_that_shows_it) {
  EXPECT_EQ(fault_of({0xa1}), websocket_fault::reserved_bits);
  EXPECT_EQ(fault_of({0x91}), websocket_fault::reserved_bits);
  EXPECT_EQ(fault_of({0xc9}), websocket_fault::reserved_bits) << "RSV1 of a control frame";
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15})
    EXPECT_EQ(fault_of({0x80 | opcode}), websocket_fault::unknown_opcode) << opcode;
  for (const int opcode : {8, 9, 10}) {
    EXPECT_EQ(fault_of({opcode}), websocket_fault::fragmented_control) << opcode;
    EXPECT_EQ(fault_of({0x80 | opcode, 125}), websocket_fault::none) << opcode;
    EXPECT_EQ(fault_of({0x80 | opcode, 126}), websocket_fault::long_control) << opcode;
    EXPECT_EQ(fault_of({0x80 | opcode, 127}), websocket_fault::long_control) << opcode;
  }
  EXPECT_EQ(fault_of({0x82, 126, 0, 125}), websocket_fault::length_not_minimal);
  EXPECT_EQ(fault_of({0x82, 126, 0, 126}), websocket_fault::none);
  EXPECT_EQ(fault_of({0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}), websocket_fault::length_not_minimal);
  EXPECT_EQ(fault_of({0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}), websocket_fault::none);
  EXPECT_EQ(fault_of({0x82, 127, 0x80}), websocket_fault::length_out_of_range);
}

TEST(websocket_header, needs_its_mask_or_must_not_have_one_as_the_direction_says) {
  EXPECT_EQ(fault_of({0x81, 0x00}, websocket_mask_rule::required), websocket_fault::not_masked);
  EXPECT_EQ(fault_of({0x81, 0x80}, websocket_mask_rule::required), websocket_fault::none);
  EXPECT_EQ(fault_of({0x81, 0x00}, websocket_mask_rule::forbidden), websocket_fault::none);
  EXPECT_EQ(fault_of({0x81, 0x80}, websocket_mask_rule::forbidden), websocket_fault::masked);
  EXPECT_EQ(fault_of({0x81, 0x00}, websocket_mask_rule::either), websocket_fault::none);
  EXPECT_EQ(fault_of({0x81, 0x80}, websocket_mask_rule::either), websocket_fault::none);
}

TEST(websocket_close, carries_only_codes_that_the_rfc_and_its_registry_allow) {
  for (unsigned code = 0; code <= 0xffff; ++code) {
    const bool good = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code < 5000);
    const auto said = decode_websocket_close(make_bytes({static_cast<int>(code >> 8), static_cast<int>(code & 255)}));
    ASSERT_EQ(said.fault, good ? websocket_fault::none : websocket_fault::close_code) << code;
    std::byte out[k_max_websocket_control];
    ASSERT_EQ(encode_websocket_close(out, static_cast<std::uint16_t>(code), ""), good ? 2u : 0u) << code;
  }
}

TEST(websocket_close, may_be_empty_but_not_of_one_byte) {
  EXPECT_EQ(decode_websocket_close({}).code, websocket_close_code::none);
  EXPECT_EQ(decode_websocket_close(make_bytes({3})).fault, websocket_fault::close_payload);
}

TEST(websocket_close, has_a_reason_in_utf8_that_is_cut_between_two_characters) {
  EXPECT_EQ(decode_websocket_close(make_bytes({3, 0xe8, 'b', 'y', 'e'})).reason, "bye");
  EXPECT_EQ(decode_websocket_close(make_bytes({3, 0xe8, 0xc3})).fault, websocket_fault::invalid_utf8);
  EXPECT_EQ(decode_websocket_close(make_bytes({3, 0xe8, 0xff})).fault, websocket_fault::invalid_utf8);
  std::string reason(122, 'x');
  reason.append("\xc3\xa9");
  std::byte out[k_max_websocket_control];
  const std::size_t size = encode_websocket_close(out, 1000, reason);
  EXPECT_EQ(size, 124u);
  EXPECT_EQ(decode_websocket_close({out, size}).reason, reason.substr(0, 122));
}

TEST(websocket_fault, has_a_close_code_that_may_be_sent_and_a_text_of_its_own) {
  std::vector<std::string> texts;
  for (int i = 0; i <= static_cast<int>(websocket_fault::no_memory); ++i) {
    const auto fault = static_cast<websocket_fault>(i);
    EXPECT_TRUE(may_be_sent(close_code_for(fault))) << i;
    texts.emplace_back(to_string(fault));
  }
  for (std::size_t i = 0; i < texts.size(); ++i)
    EXPECT_EQ(std::count(texts.begin(), texts.end(), texts[i]), 1) << texts[i];
  EXPECT_EQ(errc_for(websocket_fault::message_too_large), errc::message_too_large);
  EXPECT_EQ(errc_for(websocket_fault::invalid_utf8), errc::protocol);
  EXPECT_EQ(errc_for(websocket_fault::masked), errc::mask);
  EXPECT_EQ(errc_for(websocket_fault::not_masked), errc::mask);
}

}  // namespace
}  // namespace ferry::codec
