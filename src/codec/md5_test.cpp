#include "codec/md5.hpp"

#include <gtest/gtest.h>

#include "testing/hex.hpp"

namespace ferry::codec {
namespace {

using test::to_hex;

TEST(md5, is_what_the_rfc_says) {  // RFC 1321, appendix A.5
  EXPECT_EQ(to_hex(md5({})), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(to_hex(md5(as_bytes("a"))), "0cc175b9c0f1b6a831c399e269772661");
  EXPECT_EQ(to_hex(md5(as_bytes("message digest"))), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(to_hex(md5(as_bytes("12345678901234567890123456789012345678901234567890123456789012345678901234567890"))),
            "57edf4a22be3c955ac49da2e2107b67a");
}

TEST(md5, of_two_parts_is_that_of_both_behind_each_other) {
  const std::string text(150, 'x');
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(md5(as_bytes(text).first(cut), as_bytes(text).subspan(cut)), md5(as_bytes(text))) << cut;
}

}  // namespace
}  // namespace ferry::codec
