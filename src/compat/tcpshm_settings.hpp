#pragma once
/// A client's or server's options, checked, with what follows from them.

#include <ferry/buffer_pool.hpp>
#include <ferry/compat/tcpshm.hpp>
#include <ferry/error.hpp>

#include <memory>
#include <string>
#include <string_view>

#include "codec/tcpshm_messages.hpp"
#include "compat/tcpshm_wake.hpp"

namespace ferry::compat::tcpshm {

/// A queue file's indices are stored as one (see whole_store.hpp), so they must lie where that can be.
#if defined(__aarch64__)
inline constexpr std::size_t k_queue_step = 16;
#else
inline constexpr std::size_t k_queue_step = 8;
#endif

struct settings {
  options with;
  codec::tcpshm::wire_format format;
  std::string directory;
  std::string local_name;
  std::shared_ptr<buffer_pool> buffers;  ///< of protocol::ferry
  std::shared_ptr<wake_set> wakes;
};

/// @return bad_option, with value and limit; also of the name | bad_address: no directory
[[nodiscard]] result<settings> check(std::string directory, std::string name, const options& with);
/// A name that may become part of a file's name, also if it comes from a peer. @return bad_option
[[nodiscard]] result<void> check_name(std::string_view name, const options& with);

}  // namespace ferry::compat::tcpshm
