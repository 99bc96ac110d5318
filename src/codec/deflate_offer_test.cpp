#include "codec/deflate_offer.hpp"

#include <gtest/gtest.h>

namespace ferry::codec {
namespace {

std::string answer_to(std::string_view offers, const deflate_parameters& wishes = {}) {
  const auto accepted = accept_deflate(offers, wishes);
  return accepted ? accepted->answer : "(none)";
}
errc refusal_of(std::string_view answer, const deflate_parameters& wishes = {}) {
  const auto agreed = accepted_deflate(answer, wishes);
  return agreed ? errc{} : agreed.error().reason();
}

TEST(deflate_offer, says_what_the_client_wants) {
  EXPECT_EQ(deflate_offer({}), "permessage-deflate; client_max_window_bits");
  EXPECT_EQ(deflate_offer({.server_max_window_bits = 10,
                           .client_max_window_bits = 9,
                           .server_no_context_takeover = true,
                           .client_no_context_takeover = true}),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
            "client_max_window_bits=9");
}

TEST(deflate_offer, is_answered_with_what_both_sides_can_do) {
  EXPECT_EQ(answer_to("permessage-deflate"), "permessage-deflate");
  EXPECT_EQ(answer_to("permessage-deflate; client_max_window_bits"), "permessage-deflate");
  EXPECT_EQ(answer_to("permessage-deflate;server_max_window_bits=\"10\""),
            "permessage-deflate; server_max_window_bits=10");
  EXPECT_EQ(answer_to("permessage-deflate; server_max_window_bits=15"),
            "permessage-deflate; server_max_window_bits=15");
  EXPECT_EQ(answer_to("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  EXPECT_EQ(answer_to("permessage-deflate; client_max_window_bits=12"),
            "permessage-deflate; client_max_window_bits=12");
  const deflate_parameters small{.server_max_window_bits = 9,
                                 .client_max_window_bits = 10,
                                 .server_no_context_takeover = true,
                                 .client_no_context_takeover = true};
  EXPECT_EQ(answer_to("permessage-deflate; client_max_window_bits; server_max_window_bits=12", small),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; "
            "client_max_window_bits=10");
  const auto unlimited = accept_deflate("permessage-deflate", small);
  ASSERT_TRUE(unlimited);
  EXPECT_EQ(unlimited->agreed.client_max_window_bits, 15) << "the client has not said that it can do less";
}

TEST(deflate_offer, of_several_the_first_that_can_be_met_is_taken) {
  EXPECT_EQ(answer_to("x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=7, "
                      "permessage-deflate; server_max_window_bits=11, permessage-deflate"),
            "permessage-deflate; server_max_window_bits=11");
  EXPECT_EQ(answer_to(" , permessage-bzip2;level=9 ,\tpermessage-deflate"), "permessage-deflate");
}

TEST(deflate_offer, is_passed_over_if_a_parameter_is_wrong) {
  for (const std::string_view wrong :
       {"", "permessage-bzip2", "permessage-deflate; unknown", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08", "permessage-deflate; server_max_window_bits=+9",
        "permessage-deflate; client_max_window_bits=99999999999999999999",
        "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; server_no_context_takeover=\"\"",
        "permessage-deflate; client_max_window_bits; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover", "Permessage-Deflate"})
    EXPECT_EQ(answer_to(wrong), "(none)") << wrong;
}

TEST(deflate_offer, a_header_that_cannot_be_read_offers_nothing) {
  for (const std::string_view wrong :
       {"permessage-deflate;", "permessage-deflate; ;", "permessage-deflate; =9", "permessage-deflate x",
        "permessage-deflate, ;", "permessage-deflate; client_max_window_bits=", "permessage-deflate, a=\"b",
        "permessage-deflate, a; b=\"\\", "permessage-deflate, a; b=\"c d\"", "permessage-deflate, (", "=", ";", "\x01"})
    EXPECT_EQ(answer_to(wrong), "(none)") << wrong;
}

TEST(deflate_answer, is_taken_as_far_as_it_belongs_to_the_offer) {
  const auto none = accepted_deflate("", {});
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  const auto agreed = accepted_deflate(
      "permessage-deflate; client_max_window_bits=11; server_max_window_bits=12; "
      "client_no_context_takeover; server_no_context_takeover",
      {});
  ASSERT_TRUE(agreed && *agreed);
  EXPECT_EQ(**agreed, (deflate_parameters{.server_max_window_bits = 12,
                                          .client_max_window_bits = 11,
                                          .server_no_context_takeover = true,
                                          .client_no_context_takeover = true}));
  const auto hinted = accepted_deflate("permessage-deflate; client_max_window_bits=15", {.client_max_window_bits = 10});
  ASSERT_TRUE(hinted && *hinted);
  EXPECT_EQ((*hinted)->client_max_window_bits, 10);
}

TEST(deflate_answer, that_was_not_asked_for_is_a_fault) {
  for (const std::string_view wrong :
       {"permessage-bzip2", "permessage-deflate, permessage-deflate", "permessage-deflate; unknown",
        "permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate;", "permessage-deflate; server_no_context_takeover; server_no_context_takeover"})
    EXPECT_EQ(refusal_of(wrong), errc::protocol) << wrong;
  EXPECT_EQ(refusal_of("permessage-deflate", {.server_no_context_takeover = true}), errc::protocol);
  EXPECT_EQ(refusal_of("permessage-deflate", {.server_max_window_bits = 10}), errc::protocol);
  EXPECT_EQ(refusal_of("permessage-deflate; server_max_window_bits=11", {.server_max_window_bits = 10}),
            errc::protocol);
}

TEST(deflate_answer, agrees_with_its_server_whatever_both_wish) {
  for (int bits = 0; bits < 8 * 8 * 16 * 16; ++bits) {
    const auto wishes = [](int windows, int flags) {
      return deflate_parameters{.server_max_window_bits = 8 + windows % 8,
                                .client_max_window_bits = 8 + windows / 8,
                                .server_no_context_takeover = (flags & 1) != 0,
                                .client_no_context_takeover = (flags & 2) != 0};
    };
    const auto client = wishes(bits / 256, bits & 3);
    const auto server = wishes(bits % 64, bits >> 2 & 3);
    const auto accepted = accept_deflate(deflate_offer(client), server);
    ASSERT_TRUE(accepted);
    const auto agreed = accepted_deflate(accepted->answer, client);
    ASSERT_TRUE(agreed) << agreed.error().text();
    ASSERT_TRUE(*agreed);
    EXPECT_EQ(**agreed, accepted->agreed) << deflate_offer(client) << " / " << accepted->answer;
  }
}

}  // namespace
}  // namespace ferry::codec
