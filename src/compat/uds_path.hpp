#pragma once
#include <ferry/errc.hpp>
#include <ferry/options.hpp>
#include <ferry/url.hpp>

#include <string>

namespace ferry::compat {

/// The endpoint of a socket path. Throws failure(bad_address) if no socket can lie there.
[[nodiscard]] endpoint uds_endpoint(const std::string& path);

/// Throws failure(bad_option) unless the options are ones that a channel takes.
void require(const options& all);
void require(bool holds, const std::string& text);

}  // namespace ferry::compat
