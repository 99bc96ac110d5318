#pragma once
/// Schemes of URLs that the program takes besides those that every context has.

#include <ferry/context.hpp>

namespace ferry::app {

/// sidecar://, where the program was built with it.
void add_transports(context& where);

}  // namespace ferry::app
