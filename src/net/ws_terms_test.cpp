#include "net/ws_terms.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace ferry::net {
namespace {

TEST(kept_ws_terms, are_read_as_they_were_given_whatever_is_empty) {
  for (const char* const subprotocol : {"", "chat"})
    for (const char* const request : {"", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"})
      for (const bool compressed : {false, true}) {
        const kept_ws_terms kept(ws_terms{subprotocol, compressed, request});
        ASSERT_TRUE(kept);
        EXPECT_EQ(kept.read().subprotocol, subprotocol);
        EXPECT_EQ(kept.read().compressed, compressed);
        EXPECT_EQ(kept.read().request, request);
      }
}

TEST(kept_ws_terms, are_none_before_a_handshake_and_take_a_pointer) {
  kept_ws_terms none;
  EXPECT_FALSE(none);
  EXPECT_EQ(sizeof none, sizeof(void*));
  none = kept_ws_terms(ws_terms{"chat", false, std::string(1, '\0')});
  EXPECT_EQ(none.read().request, std::string(1, '\0'));
}

}  // namespace
}  // namespace ferry::net
