#pragma once
/// What a gateway shows to operators: numbers for Prometheus, whether it is well, who is there. Source:
/// docs/gateway.md.

#include <string_view>

#include "gateway/admin_http.hpp"
#include "gateway/gateway.hpp"

namespace ferry::gateway {

inline constexpr std::size_t k_most_shown = 10'000;  ///< members on /connections

/// /metrics, /healthz, /connections.
[[nodiscard]] http_page page_of(std::string_view path, const service& of);

}  // namespace ferry::gateway
