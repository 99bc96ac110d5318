#pragma once
/// The stream that lies below a URL's messages.

#include <ferry/error.hpp>

#include <string>

namespace ferry::app {

struct raw_url {
  std::string url;        ///< of tcp, tls, ipc or inproc
  std::string path;       ///< of the WebSocket, with its query; "/" if there is none
  std::string host;       ///< for HTTP's Host field
  bool frames = false;    ///< WebSocket's frames are spoken over it
  bool upgrades = false;  ///< after an HTTP request
};

/// ws://host/path is tcp://host:80, and so on; what is a stream stays as it is.
/// @return bad_url | unsupported where messages are carried by no stream
[[nodiscard]] result<raw_url> raw_url_of(const std::string& url);

}  // namespace ferry::app
