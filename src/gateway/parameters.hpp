#pragma once
/// The parameters of a gateway by name: one table for the command line, files and the environment. Source of names and
/// defaults: docs/gateway.md.

#include <ferry/buffer_pool.hpp>
#include <ferry/error.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "channel/parameter_table.hpp"
#include "gateway/settings.hpp"

namespace ferry::gateway {

/// All that can be set.
struct configuration {
  settings service;
  buffer_pool_options memory{.min_buffer = 64, .max_buffer = 64 * 1024, .growth = 2, .page_size = 64};
  buffer_pool_kind pool_kind = buffer_pool_kind::atom;
  std::size_t slab_bytes = 1 << 20;                 ///< of each size, as buffer_pool has it
  duration stop_within = std::chrono::seconds(10);  ///< after SIGTERM: how long virtual connections may go on
  bool insecure = false;            ///< servers without a key may come from elsewhere than this host, operators too
  std::string key_file;             ///< whose content is service.server_key: read_keys()
  std::string keys_file;            ///< of service.server_keys
  std::string admin_url;            ///< where operators ask; empty: nowhere
  std::optional<std::string> name;  ///< of its files, NAME.pid and others; empty: of pid_file's, if there is one
  std::string pid_file;             ///< instead of NAME.pid
  std::string log_file;             ///< instead of standard error
};

inline constexpr std::string_view k_default_name = "ferry";  ///< where neither a name nor a pid file is given

[[nodiscard]] std::span<const parameter> parameter_table() noexcept;

/// "client-max-conn" of "ClientMaxConn", "client_max_conn" or "CLIENT_MAX_CONN"; other words as they are, in small
/// letters.
[[nodiscard]] std::string canonical_parameter_name(std::string_view name);

/// @param name  in any spelling @param value  sizes: K, M and G are 1024, 1024^2, 1024^3; durations: "1m30s";
/// addresses: a URL, "HOST:PORT" or ":PORT"
/// @return unknown_option: with the near one | bad_option: with what must be written instead
[[nodiscard]] result<void> set_parameter(configuration& target, std::string_view name, std::string_view value);

/// The keys of the files that are named, into `service`. @return bad_option: one cannot be read, or says no keys; more
/// than one way to give a key was taken
[[nodiscard]] result<void> read_keys(configuration& all);

/// What cannot be judged parameter by parameter. @return bad_option
[[nodiscard]] result<void> check(const configuration& all);

}  // namespace ferry::gateway
