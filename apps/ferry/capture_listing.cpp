#include "apps/ferry/capture_listing.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cerrno>
#include <ctime>

#include "os/unique_fd.hpp"

namespace ferry::app {
namespace {

// "2026-11-28 20:00:00.123456789" UTC
std::string time_text(std::uint64_t nanoseconds) {
  const auto seconds = static_cast<std::time_t>(nanoseconds / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char day[32];
  std::strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &parts);
  std::string fraction = std::to_string(nanoseconds % 1'000'000'000);
  fraction.insert(0, 9 - fraction.size(), '0');
  return std::string(day) + "." + fraction;
}

std::string end_text(const codec::captured_flow& flow) {
  if (flow.has_gap) return "bytes are missing";
  if (flow.reset) return "reset";
  const int ends = static_cast<int>(flow.ended[0]) + static_cast<int>(flow.ended[1]);
  return ends == 2 ? "closed" : ends == 1 ? "half closed" : "no end";
}

}  // namespace

result<std::vector<std::byte>> read_whole(const std::string& path, std::uint64_t most) {
  os::unique_fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return error::from_errno(errno, "open " + path);
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return error::from_errno(errno, "look at " + path);
  if (!S_ISREG(about.st_mode)) return error(errc::bad_address, path + " is no regular file");
  if (static_cast<std::uint64_t>(about.st_size) > most)
    return error(errc::message_too_large, path + " has " + std::to_string(about.st_size) + " bytes; at most " +
                                              std::to_string(most) + " are read");
  std::vector<std::byte> all(static_cast<std::size_t>(about.st_size));
  std::size_t got = 0;
  while (got < all.size()) {
    const auto n = ::read(fd.get(), all.data() + got, all.size() - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error::from_errno(errno, "read " + path);
    if (n == 0) break;  // it has become shorter
    got += static_cast<std::size_t>(n);
  }
  all.resize(got);
  return all;
}

std::string to_text(const codec::flow_address& at) {
  boost::asio::ip::address ip;
  if (at.v6) {
    boost::asio::ip::address_v6::bytes_type raw;
    std::transform(at.ip.begin(), at.ip.end(), raw.begin(),
                   [](std::byte b) { return std::to_integer<unsigned char>(b); });
    return "[" + boost::asio::ip::address_v6(raw).to_string() + "]:" + std::to_string(at.port);
  }
  boost::asio::ip::address_v4::bytes_type raw;
  std::transform(at.ip.begin(), at.ip.begin() + 4, raw.begin(),
                 [](std::byte b) { return std::to_integer<unsigned char>(b); });
  return boost::asio::ip::address_v4(raw).to_string() + ":" + std::to_string(at.port);
}

std::string to_text(const codec::capture_content& content) {
  std::string text;
  for (std::size_t i = 0; i < content.flows.size(); ++i) {
    const auto& flow = content.flows[i];
    text += std::to_string(i + 1) + "  " + (flow.pieces.empty() ? "" : time_text(flow.pieces.front().time) + "  ") +
            to_text(flow.client) + " -> " + to_text(flow.server) + "  " + std::to_string(flow.bytes_of[0]) +
            " bytes there, " + std::to_string(flow.bytes_of[1]) + " back, " + end_text(flow) +
            (flow.has_begin ? "" : ", without its beginning") + "\n";
  }
  if (content.ignored != 0) text += std::to_string(content.ignored) + " packets are no TCP\n";
  if (content.cut_short) text += "the last packet is not whole\n";
  if (content.flows.empty()) text += "no connection is in it\n";
  return text;
}

}  // namespace ferry::app
