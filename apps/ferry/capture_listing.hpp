#pragma once
/// Capture files as the program reads and shows them.

#include <ferry/error.hpp>

#include <string>
#include <vector>

#include "codec/pcap_reader.hpp"

namespace ferry::app {

/// A whole file in memory. @return not_found | permission | bad_address: no regular file | message_too_large: above
/// `most` bytes
[[nodiscard]] result<std::vector<std::byte>> read_whole(const std::string& path, std::uint64_t most);

/// "192.0.2.1:1024", "[::1]:80"
[[nodiscard]] std::string to_text(const codec::flow_address& at);

/// One line for each connection, and what is to be said about the file.
[[nodiscard]] std::string to_text(const codec::capture_content& content);

}  // namespace ferry::app
