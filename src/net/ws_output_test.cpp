#include "net/ws_output.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>

namespace ferry::net {
namespace {

TEST(ws_mask_key, is_another_one_for_each_frame) {
  std::set<codec::websocket_mask_key> seen;
  std::array<std::array<bool, 256>, 4> values{};
  for (int i = 0; i < 4096; ++i) {
    const auto key = ws_mask_key();
    seen.insert(key);
    for (std::size_t at = 0; at < key.size(); ++at) values[at][std::to_integer<std::size_t>(key[at])] = true;
  }
  EXPECT_GE(seen.size(), 4090u);  // that two of them are the same is as likely as 1 in 500
  for (const auto& one : values) EXPECT_EQ(std::ranges::count(one, true), 256) << "no bit stands still";
}

TEST(ws_output, masks_each_frame_with_a_key_of_its_own) {
  const ws_output client({.mask = true});
  const std::string payload = "the same again";
  std::set<std::string> keys;
  for (int i = 0; i < 100; ++i) {
    std::array<std::byte, 64> frame{};
    const auto n = client.write_alone({as_bytes(payload), message_kind::text}, frame);
    ASSERT_EQ(n, 2 + 4 + payload.size());
    const std::string key(as_text(bytes(frame).subspan(2, 4)));
    std::string text(as_text(bytes(frame).subspan(6, payload.size())));
    for (std::size_t at = 0; at < text.size(); ++at) text[at] = static_cast<char>(text[at] ^ key[at % 4]);
    EXPECT_EQ(text, payload);
    keys.insert(key);
  }
  EXPECT_EQ(keys.size(), 100u);
}

}  // namespace
}  // namespace ferry::net
