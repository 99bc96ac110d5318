#include "gateway/address_book.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v6.hpp>

namespace ferry::gateway {

std::string address_of(std::string_view peer) {
  const auto colon = peer.rfind(':');
  if (colon == std::string_view::npos) return {};
  auto host = peer.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  host = host.substr(0, host.find('%'));
  boost::system::error_code wrong;
  const auto known = boost::asio::ip::make_address(std::string(host), wrong);
  if (wrong) return {};
  if (known.is_v4()) return known.to_string();
  if (known.to_v6().is_v4_mapped())
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, known.to_v6()).to_string();
  return boost::asio::ip::make_network_v6(known.to_v6(), 64).canonical().to_string();
}

}  // namespace ferry::gateway
