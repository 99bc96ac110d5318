// Input: one byte for the role and its rules, one for the size of the pieces, then what the other side may have sent.
// In whatever pieces it comes, the outcome, what is used up and what is answered are the same; an acceptance is one
// only with the digest of the key; and every error is one line.
#include <algorithm>
#include <string>

#include "fuzz/checks.hpp"
#include "net/http_text.hpp"
#include "net/ws_upgrade.hpp"

namespace {

using namespace ferry;
using namespace ferry::net;
using ferry::fuzz::require;

ws_server_rules rules_of(std::uint8_t byte) {
  ws_server_rules rules;
  if ((byte & 2) != 0) rules.path = "/chat/*";
  if ((byte & 4) != 0) rules.origins = {"http://example.com"};
  if ((byte & 8) != 0) rules.subprotocols = {"chat"};
  if ((byte & 16) != 0) rules.deflate.emplace();
  if ((byte & 32) != 0) rules.max_fields = 4;
  if ((byte & 64) != 0) rules.max_head = 200;
  return rules;
}

ws_client_wishes wishes_of(std::uint8_t byte) {
  ws_client_wishes wishes;
  wishes.host = "example.com";
  if ((byte & 8) != 0) wishes.subprotocols = {"chat"};
  if ((byte & 16) != 0) wishes.deflate.emplace();
  if ((byte & 64) != 0) wishes.max_head = 200;
  return wishes;
}

/// Feeds all of it. @return the outcome, and how much of `wire` was used up until then
template <class Machine>
upgrade_progress run(Machine& machine, bytes wire, std::size_t piece) {
  upgrade_progress all;
  while (all.what == upgrade_outcome::need_more && all.consumed < wire.size()) {
    const auto part = wire.subspan(all.consumed, std::min(piece, wire.size() - all.consumed));
    const auto got = machine.feed(part);
    require(got.consumed <= part.size());
    require(got.what == upgrade_outcome::accepted || got.consumed == part.size());
    all.what = got.what;
    all.consumed += got.consumed;
  }
  return all;
}

bool is_answer(const std::string& text) { return text.starts_with("HTTP/1.1 ") && text.find("\r\n\r\n") != text.npos; }

void serve(std::uint8_t byte, bytes wire, std::size_t piece) {
  const auto rules = rules_of(byte);
  ws_server_upgrade whole(rules, "address"), cut(rules, "address");
  const auto one = run(whole, wire, std::max<std::size_t>(wire.size(), 1));
  const auto other = run(cut, wire, piece);
  require(one.what == other.what && whole.answer() == cut.answer());
  if (one.what == upgrade_outcome::need_more) return require(whole.answer().empty() && wire.size() <= rules.max_head);
  require(is_answer(whole.answer()));
  if (one.what == upgrade_outcome::refused) {
    require(whole.fault().reason() != errc{} && fuzz::is_one_line(whole.fault().text()));
    require(!whole.answer().starts_with("HTTP/1.1 101"));
    return;
  }
  require(one.consumed == other.consumed && one.consumed <= rules.max_head);
  const auto& request = whole.request();
  require(request.fields.size() <= rules.max_fields && request.method == "GET");
  require(whole.answer().starts_with("HTTP/1.1 101 "));
  require(whole.answer().find(accept_value(request.header("Sec-WebSocket-Key"))) != std::string::npos);
  (void)request.cookie("a");
}

void connect(std::uint8_t byte, bytes wire, std::size_t piece) {
  std::array<std::byte, 16> nonce{};
  const auto text = as_bytes("the sample nonce");
  std::copy(text.begin(), text.end(), nonce.begin());
  ws_client_upgrade whole(wishes_of(byte), nonce), cut(wishes_of(byte), nonce);
  auto one = run(whole, wire, std::max<std::size_t>(wire.size(), 1));
  auto other = run(cut, wire, piece);
  require(one.what == other.what);
  if (one.what == upgrade_outcome::accepted) require(one.consumed == other.consumed);
  if (one.what == upgrade_outcome::need_more) one.what = whole.end();
  if (other.what == upgrade_outcome::need_more) other.what = cut.end();
  require(one.what == other.what && whole.fault().text() == cut.fault().text());
  if (one.what == upgrade_outcome::accepted)
    require(find_field(whole.fields(), "Sec-WebSocket-Accept") == accept_value("dGhlIHNhbXBsZSBub25jZQ=="));
  else
    require(whole.fault().reason() != errc{} && fuzz::is_one_line(whole.fault().text()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bytes wire(reinterpret_cast<const std::byte*>(data + 2), size - 2);
  const std::size_t piece = std::size_t{data[1]} + 1;
  (data[0] & 1) == 0 ? serve(data[0], wire, piece) : connect(data[0], wire, piece);
  return 0;
}
