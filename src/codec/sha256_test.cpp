#include "codec/sha256.hpp"

#include <gtest/gtest.h>

#include <string>

#include "testing/hex.hpp"

namespace ferry::codec {
namespace {

using test::to_hex;

TEST(sha256, is_what_the_standard_says) {  // NIST's examples for FIPS 180-4
  EXPECT_EQ(to_hex(sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(to_hex(sha256({as_bytes("abc")})), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(sha256({as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")})),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(to_hex(sha256({as_bytes(std::string(1'000'000, 'a'))})),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha256, of_parts_is_that_of_all_behind_each_other) {
  const std::string text(200, 'x');
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(sha256({as_bytes(text).first(cut), as_bytes(text).subspan(cut)}), sha256({as_bytes(text)})) << cut;
}

TEST(hmac_sha256, is_what_the_rfc_says) {  // RFC 4231, test cases 1, 2 and 6
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes(std::string(20, '\x0b')), {as_bytes("Hi There")})),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), {as_bytes("what do ya want "), as_bytes("for nothing?")})),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes(std::string(131, '\xaa')),
                               {as_bytes("Test Using Larger Than Block-Size Key - Hash Key First")})),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

}  // namespace
}  // namespace ferry::codec
