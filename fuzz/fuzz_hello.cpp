// Any bytes as a hello on the socket of a shared-memory endpoint: no crash, and what is taken has possible sizes, reads
// back the same when it is written again, and brings no control characters to a log.
#include <cstddef>
#include <cstdint>

#include "base/utf8.hpp"
#include "fuzz/checks.hpp"
#include "ring/ring_hello.hpp"

using ferry::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ferry::bytes in(reinterpret_cast<const std::byte*>(data), size);
  const auto read = ferry::ring::decode_hello(in);
  if (!read) return 0;
  require(ferry::printable(read->text) == read->text && read->text.size() <= ferry::ring::k_hello_text_bytes);
  if (read->kind == ferry::ring::hello_kind::refusal) {
    require(!ferry::ring::refusal_of(*read).text().empty());
    return 0;
  }
  require(ferry::ring::check(read->memory).has_value());
  const auto again = ferry::ring::decode_hello(ferry::ring::encode(*read));
  require(again && again->memory == read->memory && again->epoch == read->epoch && again->kind == read->kind &&
          again->barriers == read->barriers);
  return 0;
}
