#pragma once
/// What a sidecar shows to operators: numbers for Prometheus, whether it is well, who is there. Source:
/// docs/sidecar.md.

#include <string_view>

#include "net/admin_http.hpp"
#include "sidecar/sidecar.hpp"

namespace ferry::sidecar {

/// /metrics, /healthz, /services.
[[nodiscard]] net::http_page page_of(std::string_view path, const daemon& of);

}  // namespace ferry::sidecar
