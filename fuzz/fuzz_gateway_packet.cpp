// Input: one byte for the limit, one for the portions, then a stream of packets. The decoder must say the same however
// the stream is cut, keep to the limit, and what it takes for a command must be written and read back as the same.
#include <algorithm>
#include <vector>

#include "codec/gateway_packet.hpp"
#include "fuzz/checks.hpp"

using ferry::bytes;
using ferry::fuzz::require;
namespace gateway = ferry::codec::gateway;

namespace {

void check_command(bytes message) {
  const auto read = gateway::decode_command(message);
  if (!read) return require(read.error() == ferry::errc::protocol && ferry::fuzz::is_one_line(read.error().text()));
  const auto again = gateway::encode(*read);
  const auto packet = gateway::packet_decoder(64).next(again.view());
  require(packet && packet->consumed == again.size && packet->connection == 0);
  require(packet->message.size() <= message.size());
  require(std::equal(packet->message.begin(), packet->message.end(), message.begin()));
  const auto same = gateway::decode_command(packet->message);
  require(same && *same == *read);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const gateway::packet_decoder decoder(data[0] < 250 ? std::uint32_t{data[0]} * 4 : UINT32_MAX);
  const std::size_t portion = std::size_t{data[1]} + 1;
  auto stream = std::as_bytes(std::span(data + 2, size - 2));
  for (std::size_t shown = 0; shown < stream.size();) {
    shown = std::min(shown + portion, stream.size());
    const std::vector<std::byte> exact(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(shown));
    const auto got = decoder.next(exact);
    const auto whole = decoder.next(stream);
    if (!got) return 0;
    if (got->consumed == 0) {
      require(got->total == 0 ? exact.size() < 4 : got->total > exact.size());
      continue;
    }
    require(whole && whole->consumed == got->consumed && whole->connection == got->connection);
    require(got->consumed <= exact.size() && got->message.size() + gateway::k_header_bytes == got->consumed);
    require(got->consumed - gateway::k_length_bytes <= decoder.max_packet());
    if (got->connection == gateway::k_command_connection) check_command(got->message);
    stream = stream.subspan(got->consumed);
    shown -= got->consumed;
  }
  return 0;
}
