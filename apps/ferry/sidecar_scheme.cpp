#include <ferry/sidecar_transport.hpp>

#include "apps/ferry/transports.hpp"

namespace ferry::app {

void add_transports(context& where) { add_sidecar_transport(where); }

}  // namespace ferry::app
