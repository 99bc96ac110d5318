#pragma once
/// What a gateway shows to operators: numbers for Prometheus, whether it is well, who is there. Source:
/// docs/gateway.md.

#include <string>
#include <string_view>
#include <vector>

#include "gateway/gateway.hpp"
#include "net/admin_http.hpp"

namespace ferry::gateway {

inline constexpr std::size_t k_most_shown = 10'000;  ///< members on /connections

/// ferry_gateway_forward_nanoseconds, a histogram for Prometheus. @param by_thread  of several, each has a label
[[nodiscard]] std::string latency_text(const std::vector<latency_buckets>& by_thread);

/// /metrics, /healthz, /connections.
[[nodiscard]] net::http_page page_of(std::string_view path, const service& of);

}  // namespace ferry::gateway
