// Input: two bytes for what both sides wish, then a header of the other side. Whatever it offers, what a server answers
// is an answer that it gave, within what it wished; whatever it answers, a client takes it or says in one line why not.
#include <ferry/options.hpp>

#include <string_view>

#include "codec/deflate_offer.hpp"
#include "fuzz/checks.hpp"

namespace {

using namespace ferry;
using namespace ferry::codec;
using ferry::fuzz::require;

deflate_parameters wishes_of(std::uint8_t byte) {
  return {.server_max_window_bits = 8 + byte % 8,
          .client_max_window_bits = 8 + byte / 8 % 8,
          .server_no_context_takeover = (byte & 64) != 0,
          .client_no_context_takeover = (byte & 128) != 0};
}

void within(const deflate_parameters& agreed, const deflate_parameters& wishes) {
  require(agreed.server_max_window_bits >= 8 && agreed.server_max_window_bits <= wishes.server_max_window_bits);
  require(agreed.client_max_window_bits >= 8 && agreed.client_max_window_bits <= 15);
  require(agreed.server_no_context_takeover || !wishes.server_no_context_takeover);
  require(agreed.client_no_context_takeover || !wishes.client_no_context_takeover);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto wishes = wishes_of(data[0]);
  const std::string_view header(reinterpret_cast<const char*>(data + 2), size - 2);
  if (const auto accepted = accept_deflate(header, wishes)) {
    within(accepted->agreed, wishes);
    require(fuzz::is_one_line(accepted->answer));
    // Our own answer, offered again to somebody without wishes, is taken as it is.
    const auto again = accept_deflate(accepted->answer, {});
    require(again && again->agreed == accepted->agreed);
  }
  const auto client = wishes_of(data[1]);
  const auto taken = accepted_deflate(header, client);
  if (!taken) {
    require(taken.error() == errc::protocol && fuzz::is_one_line(taken.error().text()));
  } else if (*taken) {
    within(**taken, client);
    require((*taken)->client_max_window_bits <= client.client_max_window_bits);
  }
  return 0;
}
